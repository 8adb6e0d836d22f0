//! Given: the kitchen, its orders and its recipes. Read it, but leave it as it is.
//!
//! The types are the recipe: `press` wants `HotWater` and `Grounds`, so there
//! is no coffee before the water is hot and the beans are ground.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// How long the coffee stands between pouring and pressing. Nobody works on it
/// meanwhile: this wait is yours to write.
pub const STEEP: Duration = Duration::from_millis(400);

// ---------------------------------------------------------------- the kitchen

/// A handle to the kitchen: a clone is cheap and is the same kitchen.
///
/// There are enough appliances and cooks for everybody: a step never waits for
/// another step of its own accord. Calling a method does nothing yet; awaiting
/// the future does the step, and dropping the future stops the step.
#[derive(Clone)]
pub struct Kitchen {
    appliances: Arc<dyn Appliances>,
}

impl Kitchen {
    /// The kitchen of the README's time lines, for tests of your own.
    pub fn standard() -> Self {
        Self::new(Standard)
    }

    /// A kitchen with appliances of your choice.
    pub fn new(appliances: impl Appliances) -> Self {
        let appliances = Arc::new(appliances);
        Self { appliances }
    }

    /// Cuts a slice of bread (100 ms in the standard kitchen).
    pub async fn slice(&self, table: u32) -> Slice {
        self.work("slice", table).await;
        Slice { table }
    }

    /// Toasts a slice (300 ms).
    pub async fn toast(&self, slice: Slice) -> Toast {
        let Slice { table } = slice;
        self.work("toast", table).await;
        Toast { table }
    }

    /// Butters a toast (100 ms).
    pub async fn butter(&self, toast: Toast) -> ButteredToast {
        let Toast { table } = toast;
        self.work("butter", table).await;
        ButteredToast { table }
    }

    /// Heats water (300 ms).
    pub async fn heat_water(&self, table: u32) -> HotWater {
        self.work("heat_water", table).await;
        HotWater(())
    }

    /// Grinds coffee beans (200 ms).
    pub async fn grind(&self, table: u32) -> Grounds {
        self.work("grind", table).await;
        Grounds { table }
    }

    /// Presses coffee that has stood for [`STEEP`] (100 ms).
    pub async fn press(&self, _water: HotWater, grounds: Grounds) -> Coffee {
        let Grounds { table } = grounds;
        self.work("press", table).await;
        Coffee { table }
    }

    /// Rings for the waiter: this table's plate is ready (50 ms).
    pub async fn ring_bell(&self, table: u32) {
        self.work("ring_bell", table).await;
    }

    /// Does one step of a recipe, whether its needs are done or not: to see to
    /// that is the caller's part. (The times of the README's bread are in
    /// [`Kitchen::standard`]; any other step takes 100 ms.)
    pub async fn prepare(&self, step: &Step) -> Part {
        let name = step.name.clone();
        self.appliances.run("prepare", name.clone()).await;
        Part { name }
    }

    async fn work(&self, appliance: &'static str, table: u32) {
        self.appliances
            .run(appliance, format!("table {table}"))
            .await;
    }
}

/// What does the work behind a [`Kitchen`].
pub trait Appliances: Send + Sync + 'static {
    /// The work of one step, named like the kitchen's method that asks for it.
    /// `label` says for whom or for what. Ready when the step is done.
    fn run(&self, appliance: &'static str, label: String) -> Work;
}

/// A boxed future; day 2 opens the box.
pub type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Appliances that always take the same time.
struct Standard;

impl Appliances for Standard {
    fn run(&self, appliance: &'static str, label: String) -> Work {
        let ms = match (appliance, label.as_str()) {
            ("toast" | "heat_water", _) => 300,
            ("grind", _) => 200,
            ("ring_bell", _) => 50,
            ("prepare", "mix") => 200,
            ("prepare", "bake") => 300,
            ("prepare", "rise") => 400,
            ("prepare", "heat oven") => 500,
            _ => 100,
        };
        Box::pin(async move { tokio::time::sleep(Duration::from_millis(ms)).await })
    }
}

// ------------------------------------------------- what the kitchen hands out

/// A slice of bread.
#[derive(Debug, PartialEq, Eq)]
pub struct Slice {
    table: u32,
}

/// A toast, still dry.
#[derive(Debug, PartialEq, Eq)]
pub struct Toast {
    table: u32,
}

/// A toast as a guest expects it.
#[derive(Debug, PartialEq, Eq)]
pub struct ButteredToast {
    table: u32,
}

/// Water, just off the boil.
#[derive(Debug, PartialEq, Eq)]
pub struct HotWater(());

/// Ground coffee beans.
#[derive(Debug, PartialEq, Eq)]
pub struct Grounds {
    table: u32,
}

/// A cup of coffee.
#[derive(Debug, PartialEq, Eq)]
pub struct Coffee {
    table: u32,
}

impl ButteredToast {
    /// Whose it is.
    pub fn table(&self) -> u32 {
        self.table
    }
}

impl Coffee {
    /// Whose it is.
    pub fn table(&self) -> u32 {
        self.table
    }
}

// ------------------------------------------------------------ orders (task 3)

/// What a table can order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dish {
    /// A buttered toast.
    Toast,
    /// A cup of coffee.
    Coffee,
    /// Both.
    Breakfast,
}

/// One dish for one table. A table may order more than once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    /// Who wants it.
    pub table: u32,
    /// What it is.
    pub dish: Dish,
}

/// An order, ready to be eaten.
#[derive(Debug, PartialEq, Eq)]
pub enum Plate {
    /// For [`Dish::Toast`].
    Toast(ButteredToast),
    /// For [`Dish::Coffee`].
    Coffee(Coffee),
    /// For [`Dish::Breakfast`].
    Breakfast(Coffee, ButteredToast),
}

impl Plate {
    /// The order that this plate answers.
    pub fn order(&self) -> Order {
        let (table, dish) = match self {
            Plate::Toast(toast) => (toast.table, Dish::Toast),
            Plate::Coffee(coffee) => (coffee.table, Dish::Coffee),
            Plate::Breakfast(coffee, _) => (coffee.table, Dish::Breakfast),
        };
        Order { table, dish }
    }
}

/// What `serve` hands back.
#[derive(Debug, PartialEq, Eq)]
pub struct Receipt {
    /// One plate for each order, in the order of the orders.
    pub plates: Vec<Plate>,
    /// How long it took, on the runtime's clock.
    pub took: Duration,
}

// ----------------------------------------------------------- recipes (task 4)

/// One step of a recipe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What the step makes.
    pub name: String,
    /// The steps that must be done before this one starts, by their place in
    /// the recipe, counted from 0. One step's `needs` never has the same place
    /// twice.
    pub needs: Vec<usize>,
}

impl Step {
    /// A step that makes `name` once all of `needs` are done.
    pub fn new(name: impl Into<String>, needs: impl Into<Vec<usize>>) -> Self {
        Self {
            name: name.into(),
            needs: needs.into(),
        }
    }
}

/// What a step made. A clone is a second label on the same part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    name: String,
}

impl Part {
    /// The name of the step that made it.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// Why a recipe cannot be cooked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecipeError {
    /// A step needs the step at this place, but the recipe is shorter.
    NoSuchStep(usize),
    /// Some step needs itself, directly or through others.
    Circular,
}

impl fmt::Display for RecipeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchStep(index) => write!(f, "the recipe has no step {index}"),
            Self::Circular => write!(f, "a step needs itself"),
        }
    }
}

impl std::error::Error for RecipeError {}
