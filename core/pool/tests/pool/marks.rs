//! What is left of the buffers that somebody marked.

use super::pool;
use skbpool_pool::{MarkedOut, Skb};

fn out(buffers: u32, references: u64) -> MarkedOut {
    MarkedOut { buffers, references }
}

#[test]
fn views_of_marked_buffers_are_counted_until_they_are_home() {
    let (pool, other) = (pool(16), pool(16));
    let mut marks = pool.marks();
    let views: Vec<Skb> = (0..4)
        .flat_map(|_| {
            let buffer = pool.alloc().unwrap();
            marks.mark(&buffer);
            let mut armed = buffer.arm(3).unwrap();
            (0..3).map(|at| armed.skb(at * 64, 60).unwrap()).collect::<Vec<_>>()
        })
        .collect();
    let (stranger, foreign) = (pool.alloc().unwrap(), other.alloc().unwrap());
    marks.mark(&foreign);
    let mut left = marks.into_marked();
    assert_eq!(left.out(), out(4, 12), "neither the stranger nor what is another pool's");
    let clone = views[0].clone_skb().unwrap();
    assert_eq!(left.out(), out(4, 13));
    drop(views);
    assert_eq!(left.out(), out(1, 1));
    drop((clone, stranger, foreign));
    assert_eq!(left.out(), out(0, 0));
}

#[test]
fn a_marked_buffer_that_somebody_else_got_is_not_counted() {
    let pool = pool(1);
    let mut marks = pool.marks();
    let buffer = pool.alloc().unwrap();
    marks.mark(&buffer);
    drop(buffer);
    let again = pool.alloc().unwrap();
    assert_eq!(marks.into_marked().out(), out(0, 0));
    let mut marks = pool.marks();
    marks.mark(&again);
    let mut left = marks.into_marked();
    drop(again);
    let third = pool.alloc().unwrap();
    assert_eq!(left.out(), out(0, 0), "nor later");
    drop(third);
}
