//! Sending mail: does what the queue asks.
//!
//! | part | what |
//! |---|---|
//! | [`driver`] | one thread drains the queue's actions |
//! | `crew` | which of its threads are free |
//! | `attempt` | one delivery, over a connection that is kept |
//! | `replacement` | a message to whom its local names stand for by now, in the place of one that is queued |
//! | `waiting` | others who may wait for its connection while the relayhost is silent |
//! | `report` | what is read and written beside deliveries: envelopes, bounces, warnings |

mod attempt;
mod crew;
pub(super) mod driver;
mod replacement;
mod report;
mod waiting;
