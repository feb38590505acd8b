//! The one task that connects, polls and publishes.
//!
//! Always true here: there is one connection at a time, and everything known of it dies with it; the future that polls the client is
//! kept across turns of the loop and never dropped half way; the task turns its loop at least every [`Settings::tick`], also while
//! it waits to try again. Deliberately absent: what goes into a message, and what may go out when.

use std::time::Duration;

use tracing::{debug, info, warn};

use super::Forward;
use super::attempts::Attempts;
use super::connection::Connection;
use super::encode::json::{self, Json};
use super::encode::{Message, Unfit};
use super::lanes::Pace;
use super::mqtt::{Heard, Wire};
use super::outage::{Outage, Tell};
use super::outbox::{Loader, Outbox};
use super::settings::Settings;
use super::suspects::Suspects;
use super::trouble::Trouble;
use super::window::Freight;
use crate::clock::monotonic;
use crate::config::model::Broker;

/// How the task, or one connection, ends.
#[derive(Debug)]
enum End {
    /// Nothing is held any more, or told to end now.
    Done,
    /// The connection could not be made, or broke.
    Trouble(Trouble),
}

impl From<Trouble> for End {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble(trouble)
    }
}

/// The forwarder at work.
pub(super) struct Task {
    forward: Forward,
    settings: Settings,
    encoder: Json,
    attempts: Attempts,
    outage: Outage,
    suspects: Suspects,
    hurried: bool,
}

impl Task {
    /// Nothing is connected yet.
    pub(super) fn new(forward: Forward, settings: Settings) -> Self {
        let attempts = Attempts::new(forward.uplink.brokers.len(), settings.backoff());
        let encoder = Json { max_payload: settings.max_payload };
        let (outage, suspects) = (Outage::new(settings.settle), Suspects::new(settings.patience));
        Self { forward, settings, encoder, attempts, outage, suspects, hurried: false }
    }

    /// Forwards until told to end.
    pub(super) async fn run(mut self) {
        loop {
            let Some(broker) = self.forward.uplink.brokers.get(self.attempts.broker()).cloned() else { return };
            let end = self.connection(&broker).await;
            self.forward.status.update(|uplink| uplink.up = false);
            let End::Trouble(trouble) = end else { return };
            self.went_down(&broker, &trouble);
            let pause = self.attempts.ended();
            debug!(%broker, %trouble, ?pause, "next attempt after a pause");
            if self.pause(pause).await {
                return;
            }
        }
    }

    /// One connection from its first packet to its end.
    async fn connection(&mut self, broker: &Broker) -> End {
        let (birth, wire) = match self.prepare(broker) {
            Ok(prepared) => prepared,
            Err(trouble) => return trouble.into(),
        };
        let wire = match self.connect(wire).await {
            Ok(wire) => wire,
            Err(end) => return end,
        };
        self.forward.status.update(|uplink| {
            uplink.up = true;
            uplink.broker = broker.to_string();
            uplink.trouble.clear();
            uplink.connections += 1;
        });
        let forward = &self.forward;
        let loader = Loader { encoder: &self.encoder, clock: &forward.clock };
        let outbox = Outbox::new(loader, self.suspects.keys());
        let hands = Hands {
            forward,
            settings: &self.settings,
            attempts: &mut self.attempts,
            outage: &mut self.outage,
            suspects: &mut self.suspects,
            broker,
        };
        let pace = Pace::new(forward.uplink.keep_alive);
        match Connection::begin(wire, forward.outlet.session(), outbox, &forward.status, pace, birth, monotonic()) {
            Ok(connection) => hands.serve(connection).await,
            Err(trouble) => trouble.into(),
        }
    }

    fn prepare(&self, broker: &Broker) -> Result<(Message, Wire), Trouble> {
        let Forward { uplink, gateway, about, clock, .. } = &self.forward;
        let birth = json::birth(gateway, &about.borrow(), &clock.now()).map_err(|unfit| unsayable(&unfit))?;
        let will = json::offline(gateway, &about.borrow()).map_err(|unfit| unsayable(&unfit))?;
        Ok((birth, Wire::new(uplink, broker, will)?))
    }

    /// Waits for CONNACK.
    async fn connect(&self, mut wire: Wire) -> Result<Wire, End> {
        let limit = self.settings.connect;
        let accepted = async {
            while wire.next().await? != Heard::Accepted {}
            Ok(())
        };
        let result = tokio::select! {
            () = self.forward.stop.cancelled() => return Err(End::Done),
            () = self.nothing_left() => return Err(End::Done),
            result = tokio::time::timeout(limit, accepted) => result,
        };
        match result {
            Ok(Ok(())) => Ok(wire),
            Ok(Err(Trouble::Closed)) => Err(Trouble::ClosedEarly.into()),
            Ok(Err(Trouble::CutShort)) => Err(Trouble::NotMqtt("it closed after something else".into()).into()),
            Ok(Err(trouble)) => Err(End::Trouble(trouble)),
            Err(_) => Err(Trouble::NoAnswer(limit).into()),
        }
    }

    fn went_down(&mut self, broker: &Broker, trouble: &Trouble) {
        let reason = format!("{broker}: {trouble}");
        match self.outage.ended(&reason, monotonic()) {
            Some(Tell::Down) => warn!("the uplink is down, readings are kept: {reason}"),
            Some(_) => warn!("the uplink is still down: {reason}"),
            None => {}
        }
        self.forward.status.update(|uplink| uplink.trouble = reason);
    }

    /// Waits before the next attempt. Whether the task is to end instead.
    async fn pause(&mut self, pause: Duration) -> bool {
        let finish = self.forward.finish.clone();
        let hurry = async {
            // What is held at the end gets one attempt without delay.
            if self.hurried { std::future::pending().await } else { finish.cancelled().await }
        };
        tokio::select! {
            () = self.forward.stop.cancelled() => return true,
            () = self.nothing_left() => return true,
            () = tokio::time::sleep(pause) => {}
            () = hurry => {}
        }
        self.hurried |= finish.is_cancelled();
        false
    }

    /// Turns the loop until told to finish while nothing is held.
    async fn nothing_left(&self) {
        loop {
            self.forward.status.turned(monotonic());
            if self.forward.finish.is_cancelled() && self.forward.outlet.depth().batches == 0 {
                return;
            }
            tokio::time::sleep(self.settings.tick).await;
        }
    }
}

/// What a connection that stands changes in the task.
struct Hands<'a> {
    forward: &'a Forward,
    settings: &'a Settings,
    attempts: &'a mut Attempts,
    outage: &'a mut Outage,
    suspects: &'a mut Suspects,
    broker: &'a Broker,
}

impl Hands<'_> {
    /// Works on a connection until it ends, and looks for whom to blame.
    async fn serve(mut self, mut connection: Connection<'_>) -> End {
        let ended = self.turn(&mut connection).await;
        let patience = match ended {
            Err(trouble) => {
                self.blame(&connection, &trouble);
                return trouble.into();
            }
            Ok(Told::Finish) => self.settings.goodbye,
            Ok(Told::Stop) => self.settings.hasty_goodbye,
        };
        let parting = tokio::time::timeout(patience, self.part(&mut connection));
        tokio::select! {
            parted = parting => debug!(parted = ?parted, "goodbye to the broker"),
            () = self.forward.stop.cancelled(), if matches!(ended, Ok(Told::Finish)) => {}
        }
        info!("the uplink is closed");
        End::Done
    }

    /// The loop: fill, wait, take in.
    async fn turn(&mut self, connection: &mut Connection<'_>) -> Result<Told, Trouble> {
        let silence = 2 * self.forward.uplink.keep_alive + self.settings.margin;
        let mut ticks = tokio::time::interval(self.settings.tick);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut about = self.forward.about.clone();
        about.mark_unchanged();
        loop {
            let now = monotonic();
            connection.fill(now)?;
            if self.forward.finish.is_cancelled() && connection.is_idle() && self.forward.outlet.depth().batches == 0 {
                return Ok(Told::Finish);
            }
            let (hungry, finishing) = (connection.is_hungry(), self.forward.finish.is_cancelled());
            tokio::select! {
                () = self.forward.stop.cancelled() => return Ok(Told::Stop),
                heard = connection.wire.next() => self.take(connection, heard?)?,
                () = self.forward.finish.cancelled(), if !finishing => {}
                () = connection.session.changed(), if hungry => {}
                Ok(()) = about.changed(), if connection.is_welcomed() && connection.admits_message() => self.renew(connection)?,
                _ = ticks.tick() => self.look(connection, silence)?,
            }
        }
    }

    /// A reload has changed what the birth message says.
    fn renew(&self, connection: &mut Connection<'_>) -> Result<(), Trouble> {
        let Forward { gateway, about, clock, .. } = self.forward;
        let birth = json::birth(gateway, &about.borrow(), &clock.now()).map_err(|unfit| unsayable(&unfit))?;
        connection.publish(Freight::Status, birth, monotonic())
    }

    fn take(&mut self, connection: &mut Connection<'_>, heard: Heard) -> Result<(), Trouble> {
        let now = monotonic();
        let Some(ack) = connection.take(heard, now)? else { return Ok(()) };
        self.attempts.acked();
        if let Some(key) = ack.confirmed {
            self.suspects.clear(key);
        }
        let tell = self.outage.works(now);
        self.tell(tell);
        Ok(())
    }

    fn look(&mut self, connection: &Connection<'_>, silence: Duration) -> Result<(), Trouble> {
        let now = monotonic();
        self.forward.status.turned(now);
        let tell = self.outage.stands(now);
        self.tell(tell);
        connection.judge(now, self.settings.no_progress, silence)
    }

    fn tell(&self, tell: Option<Tell>) {
        let broker = self.broker;
        match tell {
            Some(Tell::Up) => info!("the uplink is up: {broker}"),
            Some(Tell::Back(after)) => info!("the uplink is back after {} s: {broker}", after.as_secs()),
            Some(Tell::Down | Tell::Still) | None => {}
        }
    }

    fn blame(&mut self, connection: &Connection<'_>, trouble: &Trouble) {
        let Some((key, proven)) = connection.suspect() else { return };
        if trouble.may_blame_a_message() && self.suspects.blame(key, proven) {
            warn!(%key, "a batch seems to end connections and is set aside; it is tried again once a day: {trouble}");
            connection
                .session
                .set_aside(key, &format!("{} connections ended while it was alone in flight: {trouble}", self.settings.patience));
        }
    }

    /// Says goodbye: the retained status, its acknowledgement, DISCONNECT.
    async fn part(&self, connection: &mut Connection<'_>) -> Result<(), Trouble> {
        let Forward { gateway, about, .. } = self.forward;
        let offline = json::offline(gateway, &about.borrow()).map_err(|unfit| unsayable(&unfit))?;
        while !connection.admits_message() {
            self.hear(connection).await?;
        }
        connection.publish(Freight::Status, offline, monotonic())?;
        while connection.awaits_status() {
            self.hear(connection).await?;
        }
        connection.wire.part()?;
        while connection.wire.next().await? != Heard::Parted {}
        Ok(())
    }

    /// Takes in the next thing heard; batches are confirmed to the last.
    async fn hear(&self, connection: &mut Connection<'_>) -> Result<(), Trouble> {
        let heard = connection.wire.next().await?;
        connection.take(heard, monotonic()).map(drop)
    }
}

/// What the task was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    /// Everything is sent: end.
    Finish,
    /// End now.
    Stop,
}

fn unsayable(unfit: &Unfit) -> Trouble {
    Trouble::Bug(unfit.to_string())
}
