//! Markdown as blocks whose words are painted already.

use std::iter::Peekable;

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

use crate::{model::book, view::style::Style};

/// One block of a page. Words are painted one by one, so that no line ends inside a colour.
pub enum Block {
    /// Its rank, from 1, and its words.
    Heading(usize, String),
    Paragraph(String),
    /// The mark (`-`, `1.`) and the blocks of each item; whether blank lines part them.
    Items(Vec<(String, Vec<Block>)>, bool),
    Quote(Vec<Block>),
    Code(Vec<String>),
    /// Rows of cells; the first is the head.
    Table(Vec<Vec<String>>),
    Rule,
}

/// The blocks of a text.
pub fn blocks(markdown: &str, style: &Style) -> Vec<Block> {
    let events = Parser::new_ext(markdown, Options::ENABLE_TABLES).peekable();
    Reader { events, style }.blocks()
}

/// The words of a text of one paragraph.
pub fn words(markdown: &str, style: &Style) -> String {
    match blocks(markdown, style).into_iter().next() {
        Some(Block::Paragraph(words)) => words,
        _ => String::new(),
    }
}

struct Reader<'text> {
    events: Peekable<Parser<'text>>,
    style: &'text Style,
}

impl Reader<'_> {
    /// The blocks up to the end of what holds them, which is taken too.
    fn blocks(&mut self) -> Vec<Block> {
        let mut blocks = Vec::new();
        loop {
            // A tight list's item holds its words without a paragraph around them.
            let words = self.words(&|_, word| word.to_owned());
            if !words.trim().is_empty() {
                blocks.push(Block::Paragraph(words));
            }
            match self.events.next() {
                None | Some(Event::End(_)) => return blocks,
                Some(Event::Start(tag)) => blocks.extend(self.block(&tag)),
                Some(Event::Rule) => blocks.push(Block::Rule),
                Some(_) => {}
            }
        }
    }

    fn block(&mut self, tag: &Tag<'_>) -> Option<Block> {
        Some(match tag {
            Tag::Paragraph => {
                let words = self.flow(&|_, word| word.to_owned());
                // `<a id="…"></a>` is for browsers, and leaves nothing.
                (!words.trim().is_empty()).then_some(Block::Paragraph(words))?
            }
            Tag::Heading { level, .. } => Block::Heading(*level as usize, self.plain()),
            // A diagram for browsers; the page draws it in text, too.
            Tag::CodeBlock(CodeBlockKind::Fenced(language)) if &**language == "mermaid" => {
                self.plain();
                return None;
            }
            Tag::CodeBlock(_) => Block::Code(self.plain().lines().map(str::to_owned).collect()),
            Tag::List(start) => self.list(*start),
            Tag::BlockQuote(_) => Block::Quote(self.blocks()),
            Tag::Table(_) => Block::Table(self.rows()),
            _ => {
                self.blocks();
                return None;
            }
        })
    }

    fn list(&mut self, start: Option<u64>) -> Block {
        let (mut items, mut loose) = (Vec::new(), false);
        while let Some(Event::Start(_)) = self.events.next() {
            loose |= matches!(self.events.peek(), Some(Event::Start(Tag::Paragraph)));
            let mark = start.map_or("-".to_owned(), |start| {
                format!("{}.", start + items.len() as u64)
            });
            items.push((mark, self.blocks()));
        }
        Block::Items(items, loose)
    }

    fn rows(&mut self) -> Vec<Vec<String>> {
        let mut rows = Vec::new();
        while let Some(Event::Start(_)) = self.events.next() {
            let mut cells = Vec::new();
            while let Some(Event::Start(_)) = self.events.next() {
                cells.push(self.flow(&|_, word| word.to_owned()));
            }
            rows.push(cells);
        }
        rows
    }

    /// The words up to the end of what holds them, which is taken too.
    fn flow(&mut self, paint: &dyn Fn(&Style, &str) -> String) -> String {
        let words = self.words(paint);
        self.events.next();
        words
    }

    /// The words that stand here, up to whatever is none.
    fn words(&mut self, paint: &dyn Fn(&Style, &str) -> String) -> String {
        let style = self.style;
        let mut words = String::new();
        while let Some(event) = self.events.next_if(is_inline) {
            match event {
                Event::Text(text) => {
                    words.push_str(&by_word(&style.text(&text), |word| paint(style, word)));
                }
                Event::Code(code) => words.push_str(&inline_code(&style.text(&code), style)),
                Event::SoftBreak | Event::HardBreak => words.push(' '),
                Event::Start(Tag::Link { dest_url, .. }) => {
                    words.push_str(&self.flow(paint));
                    words.extend([" (", &book::reference(&dest_url), ")"]);
                }
                Event::Start(_) => {
                    words.push_str(&self.flow(&|style: &Style, word: &str| style.bold(word)));
                }
                _ => {}
            }
        }
        words
    }

    /// The text up to the end of what holds it, unpainted.
    fn plain(&mut self) -> String {
        let (mut text, mut depth) = (String::new(), 0_usize);
        for event in self.events.by_ref() {
            match event {
                Event::Text(part) | Event::Code(part) => text.push_str(&part),
                Event::SoftBreak | Event::HardBreak => text.push(' '),
                Event::Start(_) => depth += 1,
                Event::End(_) if depth == 0 => break,
                Event::End(_) => depth -= 1,
                _ => {}
            }
        }
        text
    }
}

fn is_inline(event: &Event<'_>) -> bool {
    match event {
        Event::Start(tag) => matches!(
            tag.to_end(),
            TagEnd::Emphasis | TagEnd::Strong | TagEnd::Link | TagEnd::Image
        ),
        Event::End(_) | Event::Rule | Event::Html(_) => false,
        _ => true,
    }
}

fn inline_code(code: &str, style: &Style) -> String {
    if style.colour {
        by_word(code, |word| style.accent(word))
    } else {
        // Without colour the backticks stay: they are all that tells code from prose.
        format!("`{code}`")
    }
}

fn by_word(text: &str, paint: impl Fn(&str) -> String) -> String {
    let words: Vec<String> = text
        .split(' ')
        .map(|word| {
            if word.is_empty() {
                String::new()
            } else {
                paint(word)
            }
        })
        .collect();
    words.join(" ")
}
