//! The public shapes of day 18.

use std::num::NonZeroUsize;
use std::time::Duration;

use exercise::{
    Delivery, Ended, Leave, Outbox, Policy, Refused, Room, Settings, Socket, Text, Wire, accept,
    echo,
};

/// Holds only for a future that gives a `T` and may move to another thread.
fn send_future_of<T>(_future: impl Future<Output = T> + Send) {}

/// Holds only for what tasks may share.
fn shared<T: Send + Sync + 'static>(_value: &T) {}

/// Task 1.
pub fn shape_of_accept(wire: Wire, within: Duration) {
    send_future_of::<Result<Socket, Refused>>(accept(wire, within));
}

/// Task 1.
pub fn shape_of_echo(socket: Socket) {
    send_future_of::<Leave>(echo(socket));
}

/// Task 2.
pub fn shape_of_outbox(capacity: NonZeroUsize, policy: Policy, text: Text) {
    let outbox: Outbox = Outbox::new(capacity, policy);
    shared(&outbox);
    let _: Result<(), Ended> = outbox.push(text);
    send_future_of::<Option<Delivery>>(outbox.next());
    outbox.close();
}

/// Task 3.
pub fn shape_of_room(settings: Settings, socket: Socket) {
    let room: Room = Room::new(settings);
    shared(&room);
    send_future_of::<Vec<String>>(room.members());
    send_future_of::<Leave>(room.join("name", Policy::DropOldest, socket));
}

/// Task 5.
pub fn shape_of_shutdown(room: &Room) {
    send_future_of::<()>(room.shutdown());
}
