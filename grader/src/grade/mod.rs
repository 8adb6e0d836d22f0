//! From source to verdict: stage, build, run, judge.
