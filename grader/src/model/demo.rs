//! A demo: an example to be run in virtual time, and what of it the reader may change.

use serde::Deserialize;

use super::name::{did_you_mean, nearest};

/// One demo; its name is that of its example.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Demo {
    /// `web_scraper`
    pub name: String,
    /// What `docs/demos/<name>.toml` says of it.
    pub about: About,
}

/// `docs/demos/<name>.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct About {
    /// What it shows, in one line.
    pub about: String,
    /// What `kata read` takes for the page or day behind it.
    pub read: String,
    /// What it links besides the book's own dependencies.
    #[serde(default)]
    pub crates: Vec<String>,
    /// What may be changed.
    pub settings: Vec<Setting>,
    /// What to predict before looking, each with the settings that give the answer.
    #[serde(default)]
    pub predict: Vec<Prediction>,
}

/// A number that the reader may change.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setting {
    /// `limit`
    pub name: String,
    /// What it is unless it is set.
    pub value: u64,
    /// The least and the most that it may be.
    pub range: (u64, u64),
    /// What it means, with its unit.
    pub about: String,
}

/// A question, and how to see its answer.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prediction {
    /// What to predict.
    pub question: String,
    /// `limit=1`, as `--set` takes it.
    pub set: Vec<String>,
}

/// Every setting of a demo with its value, in the demo's order.
pub type Values = Vec<(String, u64)>;

/// Why a demo cannot be run as it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DemoError {
    /// No demo is named so.
    #[error("there is no demo `{word}`{}\n`kata demo` lists them: {}", did_you_mean(.nearest.as_deref()), .names.join(", "))]
    Unknown {
        /// What was asked for.
        word: String,
        /// What looks most like it.
        nearest: Option<String>,
        /// What there is.
        names: Vec<String>,
    },
    /// Several demos have this in their name.
    #[error("`{word}` may mean {}", .names.join(" or "))]
    Ambiguous {
        /// What was asked for.
        word: String,
        /// What matches.
        names: Vec<String>,
    },
    /// Not `NAME=NUMBER`.
    #[error("`--set {set}` is not understood: write `--set NAME=NUMBER`\n{settings}")]
    NoPair {
        /// What was asked for.
        set: String,
        /// What can be set.
        settings: String,
    },
    /// The demo has no such setting.
    #[error("{demo} has no setting `{name}`{}\n{settings}", did_you_mean(.nearest.as_deref()))]
    NoSetting {
        /// The demo.
        demo: String,
        /// What was asked for.
        name: String,
        /// What looks most like it.
        nearest: Option<String>,
        /// What can be set.
        settings: String,
    },
    /// Not a number that the setting takes.
    #[error("`{name}={value}`: {name} is a number from {} to {} ({about})", .range.0, .range.1)]
    BadValue {
        /// The setting.
        name: String,
        /// What was asked for.
        value: String,
        /// What it takes.
        range: (u64, u64),
        /// What it means.
        about: String,
    },
}

/// Finds the demo that `word` means: by its name, or by a part that no other has.
pub fn find<'a>(demos: &'a [Demo], word: &str) -> Result<&'a Demo, DemoError> {
    let name = word.trim().to_lowercase().replace('-', "_");
    let name = name.strip_suffix(".rs").unwrap_or(&name);
    let name = name.rsplit('/').next().unwrap_or(name);
    if let Some(demo) = demos.iter().find(|demo| demo.name == name) {
        return Ok(demo);
    }
    let part = |demo: &&Demo| !name.is_empty() && demo.name.contains(name);
    let matches: Vec<&Demo> = demos.iter().filter(part).collect();
    let names = |demos: &[&Demo]| demos.iter().map(|demo| demo.name.clone()).collect();
    match matches.as_slice() {
        [demo] => Ok(demo),
        [] => Err(DemoError::Unknown {
            word: word.to_owned(),
            nearest: nearest(name, demos.iter().map(|demo| demo.name.as_str())),
            names: names(&demos.iter().collect::<Vec<_>>()),
        }),
        several => Err(DemoError::Ambiguous {
            word: word.to_owned(),
            names: names(several),
        }),
    }
}

impl Demo {
    /// The values after `sets`, each `NAME=NUMBER`; of two for one setting the last counts.
    pub fn values(&self, sets: &[String]) -> Result<Values, DemoError> {
        let settings = self.about.settings.iter();
        let mut values: Values = settings
            .map(|setting| (setting.name.clone(), setting.value))
            .collect();
        for set in sets {
            let (name, value) = set.split_once('=').ok_or_else(|| DemoError::NoPair {
                set: set.clone(),
                settings: self.described(),
            })?;
            let (name, value) = (name.trim(), value.trim());
            let index = self.index(name)?;
            let setting = &self.about.settings[index];
            let (least, most) = setting.range;
            let number = value.parse().ok();
            let number = number.filter(|number| (least..=most).contains(number));
            values[index].1 = number.ok_or_else(|| DemoError::BadValue {
                name: name.to_owned(),
                value: value.to_owned(),
                range: setting.range,
                about: setting.about.clone(),
            })?;
        }
        Ok(values)
    }

    fn index(&self, name: &str) -> Result<usize, DemoError> {
        let mut settings = self.about.settings.iter();
        let names = settings.clone().map(|setting| setting.name.as_str());
        settings
            .position(|setting| setting.name == name)
            .ok_or_else(|| DemoError::NoSetting {
                demo: self.name.clone(),
                name: name.to_owned(),
                nearest: nearest(name, names),
                settings: self.described(),
            })
    }

    /// `Its settings: fetches (12), limit (4)`
    fn described(&self) -> String {
        let settings = self.about.settings.iter();
        let each: Vec<String> = settings
            .map(|setting| format!("{} ({})", setting.name, setting.value))
            .collect();
        format!("Its settings: {}", each.join(", "))
    }

    /// The settings that give these values, as `--set` takes them: what differs from the defaults.
    pub fn sets(&self, values: &Values) -> Vec<String> {
        let settings = self.about.settings.iter().zip(values);
        settings
            .filter(|(setting, (_, value))| setting.value != *value)
            .map(|(_, (name, value))| format!("{name}={value}"))
            .collect()
    }

    /// The command that runs it with these settings.
    pub fn command(&self, sets: &[String]) -> String {
        let mut command = format!("kata demo {}", self.name);
        for set in sets {
            command.push_str(" --set ");
            command.push_str(set);
        }
        command
    }

    /// What to predict next: the first prediction after the one that these values answer, or
    /// after none.
    pub fn next_prediction(&self, values: &Values) -> Option<&Prediction> {
        let predict = &self.about.predict;
        let answered = predict
            .iter()
            .position(|prediction| self.values(&prediction.set).as_ref() == Ok(values));
        predict.get(answered.map_or(0, |index| index + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn demo() -> Demo {
        let text = "about = \"x\"\nread = \"y\"\n\
            [[settings]]\nname = \"fetches\"\nvalue = 12\nrange = [1, 100]\nabout = \"pages\"\n\
            [[settings]]\nname = \"limit\"\nvalue = 4\nrange = [1, 100]\nabout = \"at once\"\n\
            [[predict]]\nquestion = \"one?\"\nset = [\"limit=1\"]\n\
            [[predict]]\nquestion = \"two?\"\nset = [\"limit=2\"]\n";
        Demo {
            name: "web_scraper".to_owned(),
            about: toml::from_str(text).unwrap(),
        }
    }

    fn sets(words: &[&str]) -> Vec<String> {
        words.iter().copied().map(str::to_owned).collect()
    }

    #[test]
    fn what_is_not_set_keeps_its_value() {
        let values = demo().values(&sets(&["limit=2", "limit=7"])).unwrap();
        assert_eq!(
            values,
            [("fetches".to_owned(), 12), ("limit".to_owned(), 7)]
        );
        let command = demo().command(&demo().sets(&values));
        assert_eq!(command, "kata demo web_scraper --set limit=7");
    }

    #[test]
    fn a_wrong_setting_is_told_with_what_there_is() {
        let said = |set: &str| demo().values(&sets(&[set])).unwrap_err().to_string();
        let unknown = said("fetchs=3");
        assert!(
            unknown.contains("no setting `fetchs`; did you mean `fetches`?"),
            "{unknown}"
        );
        assert!(unknown.contains("fetches (12), limit (4)"), "{unknown}");
        assert_eq!(
            said("limit=0"),
            "`limit=0`: limit is a number from 1 to 100 (at once)"
        );
        assert_eq!(
            said("limit=x"),
            "`limit=x`: limit is a number from 1 to 100 (at once)"
        );
        assert!(said("limit").contains("write `--set NAME=NUMBER`"));
    }

    #[test]
    fn a_demo_is_found_by_a_part_of_its_name() {
        let demos = [
            demo(),
            Demo {
                name: "circuit_breaker".to_owned(),
                ..demo()
            },
        ];
        for word in [
            "web_scraper",
            "Web-Scraper",
            "docs/examples/web_scraper.rs",
            "scrap",
        ] {
            assert_eq!(find(&demos, word).unwrap().name, "web_scraper", "{word}");
        }
        let error = find(&demos, "web_scaper").unwrap_err().to_string();
        assert!(error.contains("did you mean `web_scraper`?"), "{error}");
        assert!(error.contains("circuit_breaker"), "{error}");
        let error = find(&demos, "r").unwrap_err().to_string();
        assert_eq!(error, "`r` may mean web_scraper or circuit_breaker");
    }

    #[test]
    fn one_prediction_comes_after_the_other() {
        let demo = demo();
        let next = |words: &[&str]| {
            let values = demo.values(&sets(words)).unwrap();
            demo.next_prediction(&values)
                .map(|next| next.question.as_str())
        };
        assert_eq!(next(&[]), Some("one?"));
        assert_eq!(next(&["limit=1"]), Some("two?"));
        assert_eq!(next(&["limit=2"]), None);
        assert_eq!(next(&["limit=9"]), Some("one?"));
    }
}
