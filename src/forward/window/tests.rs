use proptest::prelude::*;

use super::*;

fn key(seq: u64) -> Key {
    Key { run: 1, seq }
}

fn part(seq: u64) -> Freight {
    Freight::Part(key(seq), Lane::Live)
}

fn window() -> (Window, Instant) {
    let now = crate::clock::monotonic();
    (Window::new(now), now)
}

#[test]
fn a_batch_of_three_messages_is_confirmed_by_the_third_acknowledgement() {
    let (mut window, now) = window();
    window.begin(key(1), 3);
    for packet in 1..=3 {
        window.hand(part(1), 10, now);
        window.sent(packet, now).unwrap();
    }
    assert_eq!(window.acked(3, now).unwrap().confirmed, None);
    assert_eq!(window.acked(1, now).unwrap().confirmed, None);
    assert_eq!(window.acked(2, now).unwrap().confirmed, Some(key(1)));
    assert!(window.is_empty());
}

#[test]
fn a_batch_whose_later_messages_were_not_even_sent_is_not_confirmed() {
    let (mut window, now) = window();
    window.begin(key(1), 2);
    window.hand(part(1), 10, now);
    window.sent(1, now).unwrap();
    assert_eq!(window.acked(1, now).unwrap().confirmed, None);
    assert_eq!(window.alone(), Some(key(1)));
}

#[test]
fn the_same_acknowledgement_twice_confirms_once() {
    let (mut window, now) = window();
    window.begin(key(1), 1);
    window.hand(part(1), 10, now);
    window.sent(1, now).unwrap();
    assert_eq!(window.acked(1, now).unwrap().confirmed, Some(key(1)));
    assert_eq!(window.acked(1, now), Err(Mismatch::Acked(1)));
}

#[test]
fn an_acknowledgement_of_what_was_never_sent_confirms_nothing() {
    let (mut window, now) = window();
    window.begin(key(1), 1);
    window.hand(part(1), 10, now);
    assert_eq!(window.acked(1, now), Err(Mismatch::Acked(1)));
    assert_eq!(window.alone(), Some(key(1)));
}

#[test]
fn a_packet_that_nobody_handed_over_is_a_mismatch() {
    let (mut window, now) = window();
    assert_eq!(window.sent(1, now), Err(Mismatch::Sent(1)));
    window.hand(Freight::Schema, 10, now);
    window.sent(1, now).unwrap();
    window.hand(Freight::Schema, 10, now);
    assert_eq!(window.sent(1, now), Err(Mismatch::Sent(1)), "identifier 1 is in use");
}

#[test]
fn the_first_batch_is_alone_and_each_confirmed_one_makes_room_for_one_more() {
    let (mut window, now) = window();
    for (batch, packet) in (1..=u64::try_from(MOST).unwrap() + 5).zip(1..) {
        assert_eq!(window.batches(), usize::try_from(batch).unwrap().min(MOST));
        window.begin(key(batch), 1);
        window.hand(part(batch), 10, now);
        window.sent(packet, now).unwrap();
        window.acked(packet, now).unwrap();
    }
}

#[test]
fn one_message_that_is_never_acknowledged_does_not_bring_an_identifier_into_use_twice() {
    let (mut window, now) = window();
    let (mut packet, mut handed) = (0, 0);
    while window.admits_message() {
        handed += 1;
        window.hand(Freight::Schema, 10, now);
        let id = number(&mut packet);
        window.sent(id, now).unwrap();
        if handed > 1 {
            window.acked(id, now).unwrap();
        }
    }
    assert_eq!(handed, IDENTIFIERS);
    window.acked(1, now).unwrap();
    assert!(window.admits_message());
}

#[test]
fn silence_counts_from_the_last_progress_and_only_while_something_waits() {
    let (mut window, now) = window();
    let limit = Duration::from_secs(60);
    let later = |seconds| now + Duration::from_secs(seconds);
    assert!(!window.stalled(later(1000), limit), "nothing waits");
    window.hand(Freight::Schema, 10, later(1000));
    assert!(!window.stalled(later(1059), limit));
    assert!(window.stalled(later(1060), limit));
    window.sent(1, later(1050)).unwrap();
    assert!(!window.stalled(later(1109), limit));
    assert!(window.stalled(later(1110), limit));
    window.acked(1, later(1105)).unwrap();
    assert!(!window.stalled(later(5000), limit));
}

/// A client that numbers packets as the standard's state machine of the library does: 1 to `IDENTIFIERS`, then from 1 again.
fn number(packet: &mut u16) -> u16 {
    *packet = *packet % IDENTIFIERS + 1;
    *packet
}

proptest! {
    /// Acknowledgements in any order, doubled and invented: a key is confirmed exactly when the broker acknowledged every message of
    /// it, an identifier is never in use twice, and in the end everything can be confirmed.
    #[test]
    fn whatever_the_broker_acknowledges_only_whole_batches_are_confirmed(
        sizes in prop::collection::vec(1usize..5, 1..120),
        choices in prop::collection::vec((0usize..40, any::<u16>()), 0..2000),
    ) {
        let (mut window, now) = window();
        let mut packet = 0;
        let mut to_hand: VecDeque<(Key, usize)> = (1..).map(key).zip(sizes.iter().copied()).collect();
        let mut to_send: VecDeque<Key> = VecDeque::new();
        let mut flying: Vec<(u16, Key)> = Vec::new();
        let mut owed: BTreeMap<Key, usize> = to_hand.iter().copied().collect();
        let mut choices = choices.into_iter();
        while !owed.is_empty() {
            while window.admits_message() {
                if to_send.is_empty() && window.admits_batch() && let Some((key, messages)) = to_hand.pop_front() {
                    window.begin(key, messages);
                    to_send.extend(std::iter::repeat_n(key, messages));
                }
                let Some(key) = to_send.pop_front() else { break };
                window.hand(Freight::Part(key, Lane::Backlog), 1, now);
                let id = number(&mut packet);
                prop_assert!(window.sent(id, now).is_ok(), "identifier {} in use twice", id);
                flying.push((id, key));
            }
            prop_assert!(!flying.is_empty(), "nothing in flight and {} batches owed: wedged", owed.len());
            let (choice, invented) = choices.next().unwrap_or((0, 0));
            if choice >= 20 {
                let known = flying.iter().any(|(id, _)| *id == invented);
                prop_assert!(known || window.acked(invented, now) == Err(Mismatch::Acked(invented)));
                continue;
            }
            let (id, key) = flying.remove(choice % flying.len());
            let confirmed = window.acked(id, now).unwrap().confirmed;
            prop_assert_eq!(window.acked(id, now), Err(Mismatch::Acked(id)));
            let left = owed.get_mut(&key).unwrap();
            *left -= 1;
            prop_assert_eq!(confirmed, (*left == 0).then_some(key));
            owed.retain(|_, left| *left > 0);
        }
        prop_assert!(window.is_empty());
    }
}
