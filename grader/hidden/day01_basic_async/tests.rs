//! Hidden checks of day 1.

use std::collections::BTreeMap;
use std::process::ExitCode;

use exercise::{
    Appliances, Dish, Kitchen, Order, Part, Plate, RecipeError, STEEP, Step, Work, cook,
    make_coffee, make_toast, serve,
};
use kata_harness::{Call, CallInfo, Lab, Place, Service, Suite, fastrand, ms};

#[rustfmt::skip] // A table: one check, one line.
fn main() -> ExitCode {
    Suite::new()
        .task(1)
        .check("bread is sliced, toasted and buttered, each once", 1, toast_steps)
        .check("a toast takes as long as its three steps", 1, toast_time)
        .check("nothing is cooked before the future is awaited", 1, toast_is_lazy)
        .task(2)
        .check("the water heats while the beans are ground", 2, coffee_overlaps)
        .check("the coffee steeps for STEEP, then it is pressed", 2, coffee_steeps)
        .check("a coffee given up leaves nothing cooking", 1, coffee_given_up)
        .task(3)
        .check("no orders take no time, one order takes its own", 1, few_orders)
        .check("a breakfast's coffee and toast start together", 1, breakfast)
        .check("all tables are served at the same time", 3, full_house)
        .check("each bell rings the moment its plate is ready", 2, bells)
        .check("the plates keep the order of the orders", 2, plates_in_order)
        .check("the receipt is timed on the runtime's clock", 1, receipt_time)
        .check("a serve given up leaves nothing cooking", 2, serve_given_up)
        .task(4)
        .check("a recipe's parts keep the order of its steps", 1, parts_in_order)
        .check("a step starts the moment its last need is done", 3, recipe_starts)
        .check("a step that several others need is done once", 2, recipe_once)
        .check("a circular recipe is refused before anything starts", 2, circular)
        .check("a need outside the recipe is refused by its number", 1, no_such_step)
        .check("a recipe given up leaves nothing cooking", 2, cook_given_up)
        .run()
}

// ---------------------------------------------------------- a kitchen that looks

const STEPS: &str = "slice toast butter heat_water grind press ring_bell prepare";

/// What a step takes: 50 to 500 ms, fixed by the seed and the step's label
/// alone, so that it is the same in whatever order a solution asks.
fn step_ms(seed: u64, step: &str, label: &str) -> u64 {
    let mut hash = seed ^ 0xcbf2_9ce4_8422_2325;
    for byte in step.bytes().chain(label.bytes()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    fastrand::Rng::with_seed(hash).u64(5..=50) * 10
}

/// The kitchen of one run as seen from behind: one service for each kind of step.
#[derive(Clone)]
struct Cafe {
    lab: Lab,
    services: BTreeMap<&'static str, Service>,
}

impl Appliances for Cafe {
    fn run(&self, appliance: &'static str, label: String) -> Work {
        let call = self.services[appliance].call(&label);
        Box::pin(async move {
            call.await.expect("no appliance fails");
        })
    }
}

fn open(lab: &Lab) -> (Cafe, Kitchen) {
    let seed = lab.seed();
    let service = |step| {
        let takes = move |call: &CallInfo| step_ms(seed, step, &call.label);
        (step, lab.service(step).takes_with(takes).build())
    };
    let services = STEPS.split(' ').map(service).collect();
    let lab = lab.clone();
    let cafe = Cafe { lab, services };
    (cafe.clone(), Kitchen::new(cafe))
}

impl Cafe {
    fn ms(&self, step: &str, table: u32) -> u64 {
        step_ms(self.lab.seed(), step, &format!("table {table}"))
    }

    fn toast_ms(&self, table: u32) -> u64 {
        self.ms("slice", table) + self.ms("toast", table) + self.ms("butter", table)
    }

    fn coffee_ms(&self, table: u32) -> u64 {
        let ready = self.ms("heat_water", table).max(self.ms("grind", table));
        ready + steep_ms() + self.ms("press", table)
    }

    /// What an order takes when nothing waits that need not wait.
    fn order_ms(&self, order: &Order) -> u64 {
        let plate = match order.dish {
            Dish::Toast => self.toast_ms(order.table),
            Dish::Coffee => self.coffee_ms(order.table),
            Dish::Breakfast => self.toast_ms(order.table).max(self.coffee_ms(order.table)),
        };
        plate + self.ms("ring_bell", order.table)
    }

    /// When the first step for this table was started.
    fn begun_ms(&self, table: u32) -> u64 {
        let label = format!("table {table}");
        let calls = self.services.values().flat_map(Service::calls);
        let own = calls.filter(|call| call.label == label);
        own.map(|call| call.started_ms).min().unwrap_or_default()
    }

    /// How many steps were started, whatever became of them.
    fn started(&self) -> usize {
        self.services.values().map(Service::count).sum()
    }

    /// The one step of this kind done for `label`; none or several is a finding.
    fn only_call(&self, step: &str, label: &str) -> Call {
        let mut calls = self.services[step].calls();
        calls.retain(|call| call.label == label);
        let expectation = self.lab.expect(calls.len() == 1);
        let expectation = expectation.expected(format!("`{step}` once for {label}"));
        let Some(call) = calls.pop() else {
            let expectation = expectation.got("it was never started");
            let expectation = expectation.why(
                "Calling a method of the kitchen only makes a future. The step is done \
                 while that future is awaited, and not otherwise.",
            );
            expectation.pitfall("forgotten-await").or_fail();
            unreachable!("an expectation that fails ends the check");
        };
        expectation
            .got(format!("{} times", calls.len() + 1))
            .why(
                "Every call of an async function makes a new future, and every future that \
                 is awaited does its work from the start.",
            )
            .pitfall("wrong-result")
            .at(call.location.clone())
            .or_fail();
        call
    }
}

fn steep_ms() -> u64 {
    u64::try_from(STEEP.as_millis()).expect("less than a year")
}

/// Nothing may go on once a future was dropped, or has returned.
async fn expect_quiet(lab: &Lab) {
    lab.expect_no_tasks_left()
        .await
        .why(
            "A spawned task belongs to the runtime, not to the future that spawned it: when \
             its JoinHandle is dropped, it runs on.",
        )
        .pitfall("leaked-task")
        .or_fail();
}

fn expect_len(lab: &Lab, got: usize, expected: usize) {
    lab.expect_eq(&got, &expected)
        .expected(format!("{expected} plates or parts"))
        .why("What was asked for is not all there.")
        .pitfall("wrong-result")
        .or_fail();
}

// ------------------------------------------------------------------------ task 1

async fn toast_steps(lab: Lab) {
    let (cafe, kitchen) = open(&lab);
    let toast = make_toast(7, &kitchen).await;
    for step in ["slice", "toast", "butter"] {
        cafe.only_call(step, "table 7");
    }
    lab.expect_eq(&toast.table(), &7)
        .why("This toast was sliced for another table than the one asked for.")
        .pitfall("wrong-result")
        .or_fail();
}

async fn toast_time(lab: Lab) {
    let (cafe, kitchen) = open(&lab);
    let (_, took) = lab.timed(make_toast(1, &kitchen)).await;
    lab.expect_took(took, cafe.toast_ms(1))
        .why("Each step needs what the one before it made: their sum is the shortest time.")
        .pitfall("wrong-result")
        .or_fail();
}

async fn toast_is_lazy(lab: Lab) {
    let (cafe, kitchen) = open(&lab);
    let future = make_toast(1, &kitchen);
    tokio::time::sleep(ms(100)).await;
    let early = cafe.services["slice"].calls();
    lab.expect(early.is_empty())
        .expected("no step in the 100 ms before the future is awaited")
        .got(format!("`slice` was started {} times", early.len()))
        .why(
            "The call itself set the kitchen to work. A spawned task starts by itself; a \
             future waits until somebody awaits it.",
        )
        .pitfall("over-engineered")
        .at(early
            .first()
            .map_or(Place::default(), |call| call.location.clone()))
        .or_fail();
    let (_, took) = lab.timed(future).await;
    lab.expect_took(took, cafe.toast_ms(1))
        .why("All the work falls into the await, however long ago the future was made.")
        .pitfall("wrong-result")
        .or_fail();
}

// ------------------------------------------------------------------------ task 2

async fn coffee_overlaps(lab: Lab) {
    let (cafe, kitchen) = open(&lab);
    make_coffee(1, &kitchen).await;
    let [water, beans] = ["heat_water", "grind"].map(|step| cafe.only_call(step, "table 1"));
    let (water_ms, beans_ms) = (water.started_ms, beans.started_ms);
    let late = if water_ms > beans_ms { water } else { beans };
    lab.expect(late.started_ms == 0)
        .expected("`heat_water` and `grind` both start at 0 ms")
        .got(format!(
            "`heat_water` at {water_ms} ms, `grind` at {beans_ms} ms"
        ))
        .why(
            "One was first polled when the other was done, though neither needs the other. \
             Making a future does not start it, and `.await` drives one future to its end.",
        )
        .pitfall("sequential-awaits")
        .at(late.location)
        .or_fail();
}

async fn coffee_steeps(lab: Lab) {
    let (cafe, kitchen) = open(&lab);
    let coffee = make_coffee(4, &kitchen).await;
    let [water, beans, press] =
        ["heat_water", "grind", "press"].map(|step| cafe.only_call(step, "table 4"));
    let poured = water.ended_ms.max(beans.ended_ms).unwrap_or_default();
    let steeped = press.started_ms.saturating_sub(poured);
    lab.expect(steeped == steep_ms())
        .expected(format!("{} ms between pouring and pressing", steep_ms()))
        .got(format!("{steeped} ms"))
        .why(
            "The time to steep begins when water and grounds are both ready. A sleep that \
             nobody awaits takes no time at all, and one made earlier has been running since.",
        )
        .pitfall("forgotten-await")
        .at(press.location)
        .or_fail();
    let pressed = press.ended_ms.unwrap_or_default();
    lab.expect_eq(&(coffee.table(), lab.now_ms()), &(4, pressed))
        .expected(format!(
            "coffee for table 4 at {pressed} ms, when it is pressed"
        ))
        .got(format!("for {} at {} ms", coffee.table(), lab.now_ms()))
        .why("Nothing is left to be done after the pressing.")
        .pitfall("wrong-result")
        .or_fail();
}

async fn coffee_given_up(lab: Lab) {
    lab.cancel_sweep(async |cancel| {
        let (_, kitchen) = open(&lab);
        cancel.drop_at(make_coffee(1, &kitchen)).await;
        expect_quiet(&lab).await;
    })
    .await;
}

// ------------------------------------------------------------------------ task 3

const DISHES: [Dish; 3] = [Dish::Breakfast, Dish::Toast, Dish::Coffee];

fn order(table: u32, dish: Dish) -> Order {
    Order { table, dish }
}

/// One order each for the tables from 1 to `tables`.
fn orders(lab: &Lab, tables: u32) -> Vec<Order> {
    let mut rng = lab.rng();
    let mut any = |table| order(table, DISHES[rng.usize(..3)]);
    (1..=tables).map(&mut any).collect()
}

fn expect_plates(lab: &Lab, plates: &[Plate], orders: &[Order]) {
    let menu = |orders: &[Order]| {
        let line = |order: &Order| format!("{:?} {}", order.dish, order.table);
        orders.iter().map(line).collect::<Vec<_>>().join(", ")
    };
    let got: Vec<Order> = plates.iter().map(Plate::order).collect();
    lab.expect(got == orders)
        .expected(menu(orders))
        .got(menu(&got))
        .why(
            "The plate of `orders[i]` belongs at `plates[i]`, whichever is ready first; a \
             table that orders twice gets two.",
        )
        .pitfall("wrong-result")
        .or_fail();
}

async fn few_orders(lab: Lab) {
    let (cafe, kitchen) = open(&lab);
    let (receipt, took) = lab.timed(serve(&[], &kitchen)).await;
    lab.expect_took(took, 0)
        .why("With no orders there is nothing to wait for.")
        .pitfall("wrong-result")
        .or_fail();
    expect_plates(&lab, &receipt.plates, &[]);
    let toast = order(3, Dish::Toast);
    let (receipt, took) = lab.timed(serve(&[toast], &kitchen)).await;
    let ring_ms = cafe.ms("ring_bell", 3);
    let early = took < ms(cafe.order_ms(&toast));
    lab.expect_took(took, cafe.order_ms(&toast))
        .expected(format!(
            "{} ms for the toast, then {ring_ms} ms for its bell",
            cafe.toast_ms(3)
        ))
        .why("`serve` does what the order asks for, and returns when the bell has rung to its end.")
        .pitfall(if early {
            "dropped-join-handle"
        } else {
            "wrong-result"
        })
        .or_fail();
    expect_plates(&lab, &receipt.plates, &[toast]);
}

async fn breakfast(lab: Lab) {
    let (cafe, kitchen) = open(&lab);
    serve(&[order(1, Dish::Breakfast)], &kitchen).await;
    let [slice, water, beans] =
        ["slice", "heat_water", "grind"].map(|step| cafe.only_call(step, "table 1"));
    let (toast_ms, coffee_ms) = (slice.started_ms, water.started_ms.min(beans.started_ms));
    let late = if toast_ms > coffee_ms { slice } else { water };
    lab.expect(toast_ms.max(coffee_ms) == 0)
        .expected("toast and coffee are both begun at 0 ms")
        .got(format!(
            "the toast at {toast_ms} ms, the coffee at {coffee_ms} ms"
        ))
        .why("Neither needs the other, yet one was first polled when the other was done.")
        .pitfall("sequential-awaits")
        .at(late.location)
        .or_fail();
}

async fn full_house(lab: Lab) {
    let (cafe, kitchen) = open(&lab);
    // Mostly a few, so that the chart can be read; now and then a crowd.
    let tables = if lab.seed().is_multiple_of(8) {
        100
    } else {
        lab.pick(2..=6)
    };
    let orders = orders(&lab, u32::try_from(tables).expect("a small café"));
    let (_, took) = lab.timed(serve(&orders, &kitchen)).await;
    let slowest = orders.iter().map(|order| cafe.order_ms(order)).max();
    let slowest = slowest.expect("at least two orders");
    if took > ms(slowest) {
        let begun = |order: &Order| (cafe.begun_ms(order.table), order.table);
        let (begun_ms, table) = orders.iter().map(begun).max().expect("at least two orders");
        lab.expect(begun_ms == 0)
            .expected(format!("{} orders, all begun at 0 ms", orders.len()))
            .got(format!("table {table}'s was begun at {begun_ms} ms"))
            .why("There are cooks enough, yet this order was first polled when others were done.")
            .pitfall("sequential-awaits")
            .or_fail();
    }
    let (why, pitfall) = if took > ms(slowest) {
        let why = "All orders were begun at 0 ms, but then something in them waited for \
                   another order, or for more than its own needs.";
        (why, "sequential-awaits")
    } else {
        let why = "It returned before the slowest order was through: some step, or some bell, \
                   was cut short or not awaited to its end.";
        (why, "forgotten-await")
    };
    let expectation = lab.expect_took(took, slowest);
    expectation.why(why).pitfall(pitfall).or_fail();
}

async fn bells(lab: Lab) {
    let (cafe, kitchen) = open(&lab);
    let orders = orders(&lab, 4);
    serve(&orders, &kitchen).await;
    lab.settle().await;
    for order in orders {
        let label = format!("table {}", order.table);
        let bell = cafe.only_call("ring_bell", &label);
        let last_steps = ["butter", "press"]
            .map(|step| cafe.services[step].calls())
            .concat();
        let own = last_steps.iter().filter(|call| call.label == label);
        let ready = own
            .filter_map(|call| call.ended_ms)
            .max()
            .unwrap_or_default();
        lab.expect(bell.started_ms == ready)
            .expected(format!(
                "{label}'s bell at {ready} ms, when its plate is ready"
            ))
            .got(format!("at {} ms", bell.started_ms))
            .why("A bell waits for its own plate, and for no other table's.")
            .pitfall("sequential-awaits")
            .at(bell.location)
            .or_fail();
    }
}

async fn plates_in_order(lab: Lab) {
    let (_, kitchen) = open(&lab);
    let mut orders = orders(&lab, 3);
    orders.extend(DISHES.map(|dish| order(2, dish)));
    lab.rng().shuffle(&mut orders);
    let receipt = serve(&orders, &kitchen).await;
    expect_plates(&lab, &receipt.plates, &orders);
}

async fn receipt_time(lab: Lab) {
    let (_, kitchen) = open(&lab);
    let orders = orders(&lab, 2);
    let future = serve(&orders, &kitchen);
    let waiting = lab.span("the check", "has the future, does not poll it yet");
    tokio::time::sleep(ms(100)).await;
    waiting.done();
    let (receipt, took) = lab.timed(future).await;
    expect_len(&lab, receipt.plates.len(), orders.len());
    // The wall's clock shows some microseconds, never the same: not to be printed.
    let got = match receipt.took.as_millis() {
        0..50 => "less than the shortest step takes".into(),
        read => format!("{read} ms"),
    };
    lab.expect(receipt.took == took)
        .expected(format!(
            "`took` is {} ms, from the first poll to the return",
            took.as_millis()
        ))
        .got(got)
        .why(
            "A sleep counts on the runtime's clock, which jumps ahead when everybody waits. \
             The clock on the wall knows nothing of that.",
        )
        .pitfall("sync-in-async")
        .or_fail();
}

async fn serve_given_up(lab: Lab) {
    let mut table = 0;
    let orders = DISHES.map(|dish| {
        table += 1;
        order(table, dish)
    });
    lab.cancel_sweep(async |cancel| {
        let (_, kitchen) = open(&lab);
        let receipt = cancel.drop_at(serve(&orders, &kitchen)).await;
        expect_quiet(&lab).await;
        if let Some(receipt) = receipt {
            expect_len(&lab, receipt.plates.len(), orders.len());
        }
    })
    .await;
}

// ------------------------------------------------------------------------ task 4

/// A recipe of `len` steps without a circle; needs point forward and back.
fn recipe(lab: &Lab, len: usize) -> Vec<Step> {
    let mut rng = lab.rng();
    let mut places: Vec<usize> = (0..len).collect();
    rng.shuffle(&mut places);
    let step = |place| Step::new(format!("step {place}"), []);
    let mut recipe: Vec<Step> = (0..len).map(step).collect();
    for (before, &place) in places.iter().enumerate() {
        let needs = places[..before].iter().filter(|_| rng.u8(..) < 90);
        recipe[place].needs = needs.copied().collect();
    }
    recipe
}

fn expect_parts(lab: &Lab, parts: &Result<Vec<Part>, RecipeError>, recipe: &[Step]) {
    let got = match parts {
        Ok(parts) => parts.iter().map(Part::name).collect::<Vec<_>>().join(", "),
        Err(error) => format!("the error {error:?}"),
    };
    let names: Vec<&str> = recipe.iter().map(|step| step.name.as_str()).collect();
    lab.expect(parts.is_ok() && got == names.join(", "))
        .expected(names.join(", "))
        .got(got)
        .why("What `recipe[i]` made belongs at place i, whenever it was done.")
        .pitfall("wrong-result")
        .or_fail();
}

async fn parts_in_order(lab: Lab) {
    let (_, kitchen) = open(&lab);
    for len in [0, 1, 7] {
        let recipe = recipe(&lab, len);
        expect_parts(&lab, &cook(&recipe, &kitchen).await, &recipe);
    }
}

async fn recipe_starts(lab: Lab) {
    let (cafe, kitchen) = open(&lab);
    let recipe = recipe(&lab, 8);
    let (_, took) = lab.timed(cook(&recipe, &kitchen)).await;
    let call = |step: &Step| cafe.only_call("prepare", &step.name);
    let calls: Vec<Call> = recipe.iter().map(call).collect();
    let ended = |index: usize| calls[index].ended_ms.unwrap_or(u64::MAX);
    for (step, call) in recipe.iter().zip(&calls) {
        let ready = step.needs.iter().map(|&need| ended(need)).max();
        let ready = ready.unwrap_or(0);
        lab.expect(call.started_ms == ready)
            .expected(format!(
                "{} at {ready} ms: it needs {:?}",
                step.name, step.needs
            ))
            .got(format!("at {} ms", call.started_ms))
            .why("Its own needs hold a step back until they are done, and nothing else does.")
            .pitfall("sequential-awaits")
            .at(call.location.clone())
            .or_fail();
    }
    let last = (0..calls.len()).map(ended).max();
    lab.expect_took(took, last.expect("eight steps"))
        .why("The recipe is cooked when its last step is done.")
        .pitfall("dropped-join-handle")
        .or_fail();
}

async fn recipe_once(lab: Lab) {
    let (cafe, kitchen) = open(&lab);
    // A ladder: both steps of a rung need both steps of the rung below.
    let mut recipe = vec![Step::new("left 0", []), Step::new("right 0", [])];
    for rung in 1..4 {
        let needs = [2 * rung - 2, 2 * rung - 1];
        recipe.extend(["left", "right"].map(|side| Step::new(format!("{side} {rung}"), needs)));
    }
    let parts = cook(&recipe, &kitchen).await;
    expect_len(&lab, parts.map_or(0, |parts| parts.len()), recipe.len());
    for step in &recipe {
        cafe.only_call("prepare", &step.name);
    }
}

/// `recipe` is refused with `error` at once, and nothing was started.
async fn expect_refused(lab: &Lab, recipe: &[Step], error: RecipeError) {
    let (cafe, kitchen) = open(lab);
    let (got, took) = lab.timed(cook(recipe, &kitchen)).await;
    lab.expect_eq(&got, &Err(error))
        .why("This recipe can never be cooked to its end, as its numbers tell beforehand.")
        .pitfall("wrong-result")
        .or_fail();
    let (started, took) = (cafe.started(), took.as_millis());
    lab.expect(started == 0 && took == 0)
        .expected("refused at 0 ms, with no step started")
        .got(format!(
            "refused at {took} ms, with {started} steps started"
        ))
        .why("The fault can be seen before the first step; what was cooked is thrown away.")
        .pitfall("wrong-result")
        .or_fail();
}

async fn circular(lab: Lab) {
    let (_, kitchen) = open(&lab);
    let mut recipe = recipe(&lab, 4);
    let parts = cook(&recipe, &kitchen).await;
    expect_len(&lab, parts.map_or(0, |parts| parts.len()), recipe.len());
    recipe.push(Step::new("itself", [0, 4]));
    expect_refused(&lab, &recipe, RecipeError::Circular).await;
    // A circle of three that nobody outside it needs.
    recipe.truncate(4);
    recipe.extend([5, 6, 4].map(|need| Step::new(format!("before {need}"), [need])));
    expect_refused(&lab, &recipe, RecipeError::Circular).await;
}

async fn no_such_step(lab: Lab) {
    let mut recipe = recipe(&lab, 4);
    let outside = 5 + lab.rng().usize(..3);
    recipe.push(Step::new("lost", [0, outside]));
    expect_refused(&lab, &recipe, RecipeError::NoSuchStep(outside)).await;
}

async fn cook_given_up(lab: Lab) {
    lab.cancel_sweep(async |cancel| {
        let (_, kitchen) = open(&lab);
        let recipe = recipe(&lab, 5);
        let parts = cancel.drop_at(cook(&recipe, &kitchen)).await;
        expect_quiet(&lab).await;
        if let Some(parts) = parts {
            expect_len(&lab, parts.map_or(0, |parts| parts.len()), recipe.len());
        }
    })
    .await;
}
