//! Names of functions by their address, from the program's own table of symbols.

use std::fs;
use std::ops::Range;
use std::sync::OnceLock;

use object::{Object, ObjectSegment, ObjectSymbol, SymbolKind};

use crate::interpose;

/// The program's functions, by address.
#[derive(Default)]
struct Program {
    /// Where it lies in memory.
    range: Range<usize>,
    /// Start, end and raw name, sorted by start.
    functions: Vec<(usize, usize, Vec<u8>)>,
}

/// Whether an address lies in the program itself and not in a library.
pub(crate) fn is_in_program(address: usize) -> bool {
    program().range.contains(&address)
}

/// The whole path of the function at an address: `tokio::sync::mutex::Mutex<T>::lock`.
pub(crate) fn name_of(address: usize) -> Option<String> {
    let name = if is_in_program(address) {
        program().name_of(address)
    } else {
        interpose::exported_name(address)
    };
    name.map(|name| format!("{:#}", backtrace::SymbolName::new(&name)))
}

fn program() -> &'static Program {
    static PROGRAM: OnceLock<Program> = OnceLock::new();
    // Without it findings lack names and lines, but they are found.
    PROGRAM.get_or_init(|| Program::load().unwrap_or_default())
}

impl Program {
    fn load() -> Option<Self> {
        let path = std::env::current_exe().ok()?;
        let (range, offset) = mapping(path.to_str()?)?;
        let bytes = fs::read(&path).ok()?;
        let file = object::File::parse(&*bytes).ok()?;
        // The file says where its parts want to lie, the system where the first of them does.
        let wanted = file
            .segments()
            .find(|segment| segment.file_range().0 == offset)?
            .address();
        let shift = range.start.wrapping_sub(usize::try_from(wanted).ok()?);
        let text = file
            .symbols()
            .filter(|symbol| symbol.kind() == SymbolKind::Text && symbol.size() > 0);
        let mut functions: Vec<_> = text
            .filter_map(|symbol| {
                let start = usize::try_from(symbol.address()).ok()?.wrapping_add(shift);
                let end = start.wrapping_add(usize::try_from(symbol.size()).ok()?);
                Some((start, end, symbol.name_bytes().ok()?.to_owned()))
            })
            .collect();
        functions.sort_unstable();
        Some(Self { range, functions })
    }

    fn name_of(&self, address: usize) -> Option<Vec<u8>> {
        let after = self
            .functions
            .partition_point(|(start, ..)| *start <= address);
        let (_, end, name) = self.functions[..after].last()?;
        (address < *end).then(|| name.clone())
    }
}

/// Where a file lies in this process's memory, and the offset in the file of the first part.
fn mapping(path: &str) -> Option<(Range<usize>, u64)> {
    let maps = fs::read_to_string("/proc/self/maps").ok()?;
    // `55d0c8a00000-55d0c8a21000 r-xp 00002000 fe:00 1234   /path`
    let parts = maps
        .lines()
        .filter(|line| line.ends_with(path))
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let (start, end) = words.next()?.split_once('-')?;
            let offset = u64::from_str_radix(words.nth(1)?, 16).ok()?;
            let hex = |text| usize::from_str_radix(text, 16).ok();
            Some((hex(start)?, hex(end)?, offset))
        });
    let parts: Vec<_> = parts.collect();
    let &(start, _, offset) = parts.first()?;
    Some((start..parts.last()?.1, offset))
}
