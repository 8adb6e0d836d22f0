//! Pure: what the compiler and the test processes said in, a verdict out.
