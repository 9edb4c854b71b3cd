//! Hosts whose address says that a name was not meant for the public DNS.

use super::*;

#[test]
fn a_name_collision_is_not_this_host_is_not_dialled_and_waits_for_whoever_mends_it() {
    let lost = |host| Peer {
        locality: Locality::Collision,
        ..peer(host, "127.0.53.53", OK)
    };
    let mut stranger = world(false, vec![lost("mx.one")]);
    let told = words(&stranger.deliver("a@b", 1).0).concat();
    assert!(
        told.starts_with("deferred: mx.one[127.0.53.53] is a name collision"),
        "{told}"
    );
    assert!(stranger.story.is_empty());
    // Another address of the host is good, and so is another host, before or behind it.
    for peers in [
        vec![lost("mx.one"), peer("mx.one", "192.0.2.2", OK)],
        vec![lost("mx.one"), peer("mx.two", "192.0.2.2", OK)],
        vec![peer("mx.two", "192.0.2.2", OK), lost("mx.one")],
    ] {
        let told = words(&world(false, peers).deliver("a@b", 1).0);
        assert_eq!(told, ["delivered"]);
    }
    let mut named = world(true, vec![lost("mx.one")]);
    assert_eq!(words(&named.deliver("a@b", 1).0), ["delivered"]);
}
