//! The axis of virtual time: which cell an instant falls on, and where the round ticks stand.

/// The fewest cells between two ticks.
const MIN_TICK: usize = 8;

/// A scale from virtual time to cells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Axis {
    /// An instant `t` stands at `t * cells_per / ms_per`.
    cells_per: u64,
    ms_per: u64,
    /// Between two ticks, in milliseconds.
    step_ms: u64,
    unit: Unit,
    /// Cells from 0 to the axis's end.
    cells: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Unit {
    name: &'static str,
    ms: u64,
    /// The longest axis that is labelled in this unit.
    up_to_ms: u64,
    /// Round numbers of this unit; they go on with powers of ten of the first three.
    steps: &'static [u64],
}

const DECIMAL: &[u64] = &[1, 2, 5];
const SIXTIETHS: &[u64] = &[1, 2, 5, 10, 15, 20, 30, 60, 120, 300];
const HOURS: &[u64] = &[1, 2, 3, 6, 12, 24, 48, 72, 120];
const DAY: u64 = 86_400_000;

const UNITS: [Unit; 6] = [
    unit("ms", 1, 9_999, DECIMAL),
    unit("s", 1_000, 599_999, SIXTIETHS),
    unit("min", 60_000, 35_999_999, SIXTIETHS),
    unit("h", 3_600_000, 10 * DAY - 1, HOURS),
    unit("days", DAY, 3_650 * DAY, DECIMAL),
    unit("years", 365 * DAY, u64::MAX, DECIMAL),
];

const fn unit(name: &'static str, ms: u64, up_to_ms: u64, steps: &'static [u64]) -> Unit {
    Unit {
        name,
        ms,
        up_to_ms,
        steps,
    }
}

impl Axis {
    /// An axis from 0 to `end_ms` in at most `cells` cells.
    ///
    /// Where the `instants` have a common measure that is worth a whole number of
    /// cells, every one of them falls exactly on the edge of a cell.
    pub fn new(instants: impl IntoIterator<Item = u64>, end_ms: u64, cells: usize) -> Self {
        let end_ms = end_ms.max(1);
        let room = cells.max(1) as u64;
        let measure = instants.into_iter().fold(end_ms, gcd);
        let units_of_measure = end_ms / measure;
        let cells_per = room / units_of_measure;
        let unit = UNITS
            .into_iter()
            .find(|unit| end_ms <= unit.up_to_ms)
            .unwrap_or(UNITS[5]);
        let exact = cells_per * units_of_measure * 5 >= room * 3;
        if exact {
            Self::exact(unit, end_ms, measure, cells_per)
        } else {
            Self::rounded(unit, end_ms, room)
        }
    }

    /// As many cells per measure as leave the ruler even, if a few less do.
    fn exact(unit: Unit, end_ms: u64, ms_per: u64, most: u64) -> Self {
        let wide_enough =
            |step: u64, per: u64| wide(step, per, ms_per) >= min_tick(unit, end_ms, step);
        let fitting = |per: u64| {
            unit.steps_ms()
                .filter(|step| wide_enough(*step, per))
                .take_while(|step| wide(*step, per, ms_per) <= 3 * MIN_TICK as u64)
                .find(|step| u128::from(*step) * u128::from(per) % u128::from(ms_per) == 0)
        };
        let least = (most * 17).div_ceil(20);
        let (cells_per, step_ms) = (least..=most)
            .rev()
            .find_map(|per| Some((per, fitting(per)?)))
            .or_else(|| {
                let step_ms = unit.steps_ms().find(|step| wide_enough(*step, most))?;
                Some((most, step_ms))
            })
            .unwrap_or((most, end_ms));
        Self {
            cells_per,
            ms_per,
            step_ms,
            unit,
            cells: cells(wide(end_ms, cells_per, ms_per)),
        }
    }

    fn rounded(unit: Unit, end_ms: u64, room: u64) -> Self {
        let cells_of = |step: u64| wide(step, room, end_ms);
        let step_ms = unit
            .steps_ms()
            .find(|step| cells_of(*step) >= min_tick(unit, end_ms, *step))
            .unwrap_or(end_ms);
        // Whole cells between two ticks keep the ruler even.
        let cells_per = cells_of(step_ms).max(1);
        Self {
            cells_per,
            ms_per: step_ms,
            step_ms,
            unit,
            cells: cells(wide(end_ms, cells_per, step_ms).min(room)),
        }
    }

    /// Cells from 0 to the end; an instant may also stand at the end's own edge.
    pub const fn cells(&self) -> usize {
        self.cells
    }

    /// The edge nearest to an instant: 0 to [`Self::cells`].
    pub fn edge(&self, ms: u64) -> usize {
        let (ms, per) = (u128::from(ms), u128::from(self.ms_per));
        let edge = (2 * ms * u128::from(self.cells_per) + per) / (2 * per);
        usize::try_from(edge).unwrap_or(usize::MAX).min(self.cells)
    }

    /// The edge of every tick and its label: `0 ms`, then bare numbers.
    pub fn ticks(&self) -> Vec<(usize, String)> {
        let instants = self.instants().into_iter();
        instants.map(|(ms, label)| (self.edge(ms), label)).collect()
    }

    /// The instant of every tick, in milliseconds, and its label.
    pub fn instants(&self) -> Vec<(u64, String)> {
        let last = u128::from(self.ms_per) * self.cells as u128 / u128::from(self.cells_per);
        (0_u64..)
            .map_while(|number| number.checked_mul(self.step_ms))
            .take_while(|ms| u128::from(*ms) <= last)
            .map(|ms| (ms, self.label(ms)))
            .take(self.cells + 1)
            .collect()
    }

    fn label(&self, ms: u64) -> String {
        if ms == 0 {
            format!("0 {}", self.unit.name)
        } else {
            (ms / self.unit.ms).to_string()
        }
    }
}

impl Unit {
    /// Round steps, rising.
    fn steps_ms(self) -> impl Iterator<Item = u64> {
        let decimal =
            std::iter::successors(Some(1_u64), |power| power.checked_mul(10)).flat_map(|power| {
                DECIMAL
                    .iter()
                    .filter_map(move |step| step.checked_mul(power))
            });
        let own = self.steps.last().copied().unwrap_or(1);
        let beyond = decimal.filter(move |step| *step > own);
        self.steps
            .iter()
            .copied()
            .chain(beyond)
            .map_while(move |step| step.checked_mul(self.ms))
    }
}

/// Cells that a step must have, so that the labels keep apart.
fn min_tick(unit: Unit, end_ms: u64, step_ms: u64) -> u64 {
    let longest = (end_ms.max(step_ms) / unit.ms).to_string().len();
    let first = unit.name.len() + 2;
    (longest.max(first) + 2).max(MIN_TICK) as u64
}

fn wide(ms: u64, cells_per: u64, ms_per: u64) -> u64 {
    let cells = u128::from(ms) * u128::from(cells_per) / u128::from(ms_per);
    u64::try_from(cells).unwrap_or(u64::MAX)
}

fn cells(cells: u64) -> usize {
    usize::try_from(cells).unwrap_or(usize::MAX).max(1)
}

const fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(end_ms: u64, cells: usize) -> Vec<String> {
        let axis = Axis::new([end_ms], end_ms, cells);
        axis.ticks().into_iter().map(|(_, label)| label).collect()
    }

    #[test]
    fn ticks_are_round_in_the_unit_of_the_axis() {
        assert_eq!(labels(4_000, 50), ["0 ms", "1000", "2000", "3000", "4000"]);
        assert_eq!(
            labels(300, 50),
            ["0 ms", "50", "100", "150", "200", "250", "300"]
        );
        assert_eq!(
            labels(60_000, 50),
            ["0 s", "10", "20", "30", "40", "50", "60"]
        );
        assert_eq!(labels(3_600_000, 40), ["0 min", "15", "30", "45", "60"]);
        assert_eq!(labels(2 * DAY, 40), ["0 h", "12", "24", "36", "48"]);
        assert_eq!(labels(744 * DAY, 40), ["0 days", "200", "400", "600"]);
        assert_eq!(labels(1, 40), ["0 ms", "1"]);
    }

    #[test]
    fn a_common_measure_makes_every_bar_exact() {
        let axis = Axis::new([0, 100, 250, 300], 300, 50);
        let edges: Vec<usize> = [0, 50, 100, 150, 300].map(|ms| axis.edge(ms)).into();
        assert_eq!(edges, [0, 8, 16, 24, 48]);
    }

    #[test]
    fn any_end_and_any_width_keep_the_axis_in_its_cells() {
        let ends = [
            1,
            2,
            3,
            7,
            99,
            101,
            997,
            9_999,
            10_000,
            65_537,
            86_400_000,
            1 << 41,
        ];
        for end_ms in ends.into_iter().chain([u64::MAX / 2, u64::MAX]) {
            for cells in 12..120 {
                let axis = Axis::new([end_ms / 3, end_ms / 2], end_ms, cells);
                assert!(
                    axis.cells() <= cells,
                    "{end_ms} ms in {cells} cells: {axis:?}"
                );
                assert!(
                    axis.cells() * 2 >= cells,
                    "{end_ms} ms in {cells} cells: {axis:?}"
                );
                assert_eq!(axis.edge(end_ms), axis.cells());
                let ticks = axis.ticks();
                assert!(
                    ticks.is_sorted_by(|a, b| a.0 + a.1.len() < b.0),
                    "{ticks:?}"
                );
            }
        }
    }
}
