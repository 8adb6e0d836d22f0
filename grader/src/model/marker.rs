//! A day's marker in `progress.json`.

use serde::{Deserialize, Serialize};

/// Where the learner stands with one exercise.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Marker {
    /// The stub is unchanged.
    #[default]
    #[serde(rename = "⏳")]
    NotStarted,
    /// It was edited and something is not passed yet.
    #[serde(rename = "🔄")]
    InProgress,
    /// Every check passed once; later experiments do not take it back.
    #[serde(rename = "✅")]
    Completed,
    /// The learner asked for help, or is stuck.
    #[serde(rename = "❌")]
    NeedHelp,
}

impl Marker {
    /// In the order of the legend.
    pub const ALL: [Self; 4] = [
        Self::Completed,
        Self::InProgress,
        Self::NotStarted,
        Self::NeedHelp,
    ];

    /// The emoji, two terminal columns wide.
    pub const fn symbol(self) -> &'static str {
        match self {
            Self::NotStarted => "⏳",
            Self::InProgress => "🔄",
            Self::Completed => "✅",
            Self::NeedHelp => "❌",
        }
    }

    /// The word that stands beside the emoji.
    pub const fn word(self) -> &'static str {
        match self {
            Self::NotStarted => "Not Started",
            Self::InProgress => "In Progress",
            Self::Completed => "Completed",
            Self::NeedHelp => "Need Help",
        }
    }

    /// Four ASCII columns for terminals without emoji.
    pub const fn ascii(self) -> &'static str {
        match self {
            Self::NotStarted => "[  ]",
            Self::InProgress => "[..]",
            Self::Completed => "[ok]",
            Self::NeedHelp => "[!!]",
        }
    }
}
