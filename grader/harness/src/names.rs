//! Names of functions as people say them: `Mutex::lock` for what the compiler calls
//! `tokio::sync::mutex::Mutex<T>::lock::{{closure}}`.

/// Modules whose types need them: a `Receiver` is of which channel?
const TELLING: [&str; 5] = ["mpsc", "oneshot", "broadcast", "watch", "stream"];

/// The segments of a path, without type arguments, traits and closures.
fn segments(path: &str) -> Vec<String> {
    // `<tokio::time::Sleep as core::future::Future>::poll`: the type, and then the method.
    if let Some(rest) = path.strip_prefix('<')
        && let Some(end) = closing(rest)
    {
        let (inner, tail) = (&rest[..end], rest[end + 1..].trim_start_matches("::"));
        let own = inner.find(" as ").map_or(inner, |split| &inner[..split]);
        let own = own.trim_start_matches('&').trim_start_matches("mut ");
        let mut all = segments(own);
        all.extend(segments(tail));
        return all;
    }
    let mut plain = String::new();
    let mut depth = 0_usize;
    for letter in path.chars() {
        match letter {
            '<' => depth += 1,
            '>' => depth = depth.saturating_sub(1),
            _ if depth == 0 => plain.push(letter),
            _ => {}
        }
    }
    plain
        .split("::")
        .filter(|part| !part.is_empty() && !part.starts_with('{'))
        .map(str::to_owned)
        .collect()
}

/// Where the bracket that was opened before `text` closes.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, letter) in text.char_indices() {
        match letter {
            '<' => depth += 1,
            '>' if depth == 0 => return Some(at),
            '>' if !text[..at].ends_with('-') => depth -= 1,
            _ => {}
        }
    }
    None
}

/// The crate that a function belongs to; `None` if it is named without its path.
pub(crate) fn crate_of(path: &str) -> Option<String> {
    let all = segments(path);
    (all.len() > 1).then(|| all[0].clone())
}

/// The learner's function: `transfer`, `Pool::lease`; the crate and its modules are left out.
pub(crate) fn function(path: &str) -> String {
    let mut all = segments(path);
    if all.len() > 1 {
        all.remove(0);
    }
    short(&all).join("::")
}

/// Somebody else's function that the learner called: `Mutex::lock`, `mpsc::Receiver::recv`,
/// `Sleep`.
pub(crate) fn callee(path: &str) -> String {
    let mut all = segments(path);
    if all.len() > 1 && all.last().is_some_and(|last| last.starts_with("poll")) {
        all.pop();
    }
    let module = all
        .iter()
        .find(|part| TELLING.contains(&part.as_str()))
        .cloned();
    let mut name = short(&all);
    if let Some(module) = module
        && name.first() != Some(&module)
    {
        name.insert(0, module);
    }
    name.join("::")
}

/// A method with its type, or a function alone.
fn short(all: &[String]) -> Vec<String> {
    let is_type = |part: &String| part.starts_with(char::is_uppercase);
    match all {
        [.., before, last] if is_type(before) => vec![before.clone(), last.clone()],
        [.., last] => vec![last.clone()],
        [] => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::{callee, crate_of, function};

    #[test]
    fn a_learners_function_is_named_without_its_crate() {
        assert_eq!(function("day01::transfer::{{closure}}"), "transfer");
        assert_eq!(
            function("day01::transfer::{closure#0}::{closure#1}"),
            "transfer"
        );
        assert_eq!(
            function("day03::pool::Pool::lease::{{closure}}"),
            "Pool::lease"
        );
        assert_eq!(
            function("<day03::Lease as core::ops::drop::Drop>::drop"),
            "Lease::drop"
        );
        assert_eq!(
            function("<day03::Pool<C>>::lease::{closure#0}"),
            "Pool::lease"
        );
    }

    #[test]
    fn a_wait_is_named_as_people_say_it() {
        assert_eq!(
            callee("tokio::sync::mutex::Mutex<T>::lock::{{closure}}"),
            "Mutex::lock"
        );
        assert_eq!(
            callee("<tokio::sync::mutex::Mutex<u32>>::lock::{closure#0}"),
            "Mutex::lock"
        );
        assert_eq!(
            callee("<tokio::time::sleep::Sleep as core::future::future::Future>::poll"),
            "Sleep"
        );
        assert_eq!(
            callee(
                "<tokio::runtime::task::join::JoinHandle<()> as core::future::future::Future>::poll"
            ),
            "JoinHandle"
        );
        assert_eq!(
            callee("tokio::sync::mpsc::bounded::Receiver<T>::recv::{{closure}}"),
            "mpsc::Receiver::recv"
        );
    }

    #[test]
    fn a_name_without_a_path_has_no_crate() {
        assert_eq!(crate_of("pthread_create"), None);
        assert_eq!(crate_of("spawn<day01::serve::{async_fn#0}, ()>"), None);
    }

    #[test]
    fn the_crate_of_a_method_of_a_trait_is_that_of_its_type() {
        let of = |path| crate_of(path).unwrap_or_default();
        assert_eq!(
            of("<core::pin::Pin<P> as core::future::future::Future>::poll"),
            "core"
        );
        assert_eq!(
            of("<&mut tokio::time::sleep::Sleep as core::future::future::Future>::poll"),
            "tokio"
        );
    }
}
