//! Mistyped names: what may have been meant.

/// `; did you mean `x`?`, to stand behind what is wrong with a name.
pub fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |nearest| {
        format!("; did you mean `{nearest}`?")
    })
}

/// The name, or the one with a part, that is nearest to a mistyped word.
pub fn nearest<'a>(word: &str, names: impl Iterator<Item = &'a str>) -> Option<String> {
    names
        .map(|name| {
            let likeness = name
                .split(['-', '_'])
                .chain([name])
                .map(|part| strsim::jaro_winkler(part, word))
                .fold(0.0, f64::max);
            (likeness, name)
        })
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|one, other| one.0.total_cmp(&other.0))
        .map(|(_, name)| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_part_or_the_whole_may_be_mistyped() {
        let names = || ["day01_basic_async", "event-loop-flow"].into_iter();
        assert_eq!(
            nearest("basik", names()).as_deref(),
            Some("day01_basic_async")
        );
        assert_eq!(
            nearest("event-lop-flow", names()).as_deref(),
            Some("event-loop-flow")
        );
        assert_eq!(nearest("zzz", names()), None);
    }
}
