//! `kata demo web_scraper`: the scraper at work on a simulated site.

#[path = "../examples/web_scraper.rs"]
pub mod example;

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::io;
use std::process::ExitCode;

use kata_harness::{Lab, SpanGuard, demo::Settings};
use tokio::time::sleep;

/// A site whose pages take time to come, and remember since when they have been known.
struct Site<'a> {
    lab: &'a Lab,
    settings: &'a Settings,
    known: RefCell<HashSet<String>>,
    waiting: RefCell<HashMap<String, SpanGuard>>,
}

impl example::Web for Site<'_> {
    async fn fetch(&self, path: &str) -> io::Result<String> {
        if let Some(wait) = self.waiting.borrow_mut().remove(path) {
            wait.done();
        }
        let fetch = self.lab.span(format!("page {path}"), "fetch");
        sleep(self.settings.time("latency") + self.settings.spread(self.lab)).await;
        let text = example::page(path, self.settings.count("fetches"));
        for link in text.iter().flat_map(|text| example::links(text)) {
            // A second link to a page leads to what is known already.
            if self.known.borrow_mut().insert(link.clone()) {
                let wait = self
                    .lab
                    .span(format!("page {link}"), "waits for a free place");
                self.waiting.borrow_mut().insert(link, wait);
            }
        }
        fetch.done();
        text
    }
}

/// One scraping of the whole site.
pub async fn run(lab: Lab, settings: Settings) {
    let site = Site {
        lab: &lab,
        settings: &settings,
        known: RefCell::default(),
        waiting: RefCell::default(),
    };
    println!(
        "{}",
        example::scrape(&site, "/0", settings.count("limit")).await
    );
}

pub fn main() -> ExitCode {
    kata_harness::demo::main(run)
}
