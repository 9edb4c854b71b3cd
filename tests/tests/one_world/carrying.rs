//! What the queue has done, but for deliveries: envelopes read, reports written, events recorded.
//!
//! In place of the agent's `delivery::report` and smarthost's `delivery::nondelivery`, whose lines
//! are not covered.

use mail::{envelope::Envelope, outcome::Failure};
use queue::{
    Action, Event,
    notification::{self, Occasion},
};
use spool::QueueId;

use crate::program::{Context, Role, Up, token};

impl<R: Role> Up<R> {
    pub(crate) fn carry_out(
        &mut self,
        role: &mut R,
        action: Action<R::D>,
        context: &mut Context<'_>,
    ) {
        let now = context.now;
        match action {
            Action::Load { id, recipients } => {
                let read = self.spool.envelope(id);
                let event = Event::read(
                    id,
                    &recipients,
                    read,
                    |it| role.origin(it),
                    |it, index| role.routed(index, it),
                );
                self.queue.handle(event, context.wall);
            }
            Action::Deliver(delivery) => self.deliver(role, delivery, context),
            Action::Record { id, event } => self.record(id, event, context),
            Action::Bounce {
                id,
                failed,
                expired,
            } => {
                let told = self.bounce(role, id, failed, expired, context);
                let event = if told {
                    Event::Bounced { id }
                } else {
                    Event::BounceFailed { id }
                };
                self.queue.handle(event, context.wall);
            }
            Action::Warn { id, late, .. } => {
                let give_up = context.wall;
                let told = self.report(
                    role,
                    id,
                    Occasion::Late {
                        late: &late,
                        give_up,
                    },
                    context,
                );
                let event = if told {
                    Event::Warned { id }
                } else {
                    Event::WarnFailed { id }
                };
                self.queue.handle(event, context.wall);
            }
            Action::Dead { id, failed, .. } => {
                context.story.tell(now, &role.hostname(), || {
                    format!("{id} is dead: {}", failed[0].1.log_text())
                });
                if let Ok(Some(stored)) = self.spool.load(id)
                    && let Some(token) = token(&stored)
                {
                    context
                        .notes
                        .push(Box::new(move |model| model.is_dead(token)));
                }
            }
            Action::Suspended {
                destination,
                reason,
                ..
            } => {
                context.story.tell(now, &role.hostname(), || {
                    format!("{destination:?} suspended: {reason}")
                });
            }
            // The last: nobody has told it of silence, or asks.
            Action::TurnedAway { .. }
            | Action::Resumed(_)
            | Action::Learned(_)
            | Action::Cut { .. }
            | Action::Ask { .. } => {}
            Action::Ended { id, .. } => context
                .story
                .tell(now, &role.hostname(), || format!("{id} removed")),
        }
    }

    fn bounce(
        &mut self,
        role: &R,
        id: QueueId,
        mut failed: Vec<(u32, Failure)>,
        expired: bool,
        context: &mut Context<'_>,
    ) -> bool {
        if expired {
            let waiting = self
                .spool
                .entry(id)
                .map(|entry| entry.waiting)
                .unwrap_or_default();
            failed = notification::with_reasons(&failed, &waiting);
        }
        context.story.tell(context.now, &role.hostname(), || {
            format!("{id} bounces: {}", failed[0].1.log_text())
        });
        self.report(
            role,
            id,
            Occasion::Failed {
                failed: &failed,
                stranger: false,
            },
            context,
        )
    }

    /// Whether what is due is in the queue.
    fn report(
        &mut self,
        role: &R,
        id: QueueId,
        occasion: Occasion<'_>,
        context: &mut Context<'_>,
    ) -> bool {
        let stored = match self.spool.load(id) {
            Ok(Some(stored)) => stored,
            Ok(None) => return true,
            Err(_) => return false,
        };
        let occasion = match occasion {
            Occasion::Failed { failed, .. } => Occasion::Failed {
                failed,
                stranger: role.is_strangers(&stored.envelope),
            },
            other => other,
        };
        let Ok(report) = notification::report(occasion, &stored, role.hostname(), context.wall)
        else {
            return false;
        };
        let Some(report) = report else {
            return true;
        };
        let Ok((draft, header, content)) = self.spool.draft_of(&report.message) else {
            return false;
        };
        let envelope = Envelope {
            content,
            ..report.envelope
        };
        let Ok(bounce) = self.spool.accept(draft, &envelope, &header.to_bytes()) else {
            return false;
        };
        self.arrived(role, bounce, &envelope, token(&stored), context);
        true
    }
}
