//! S3: one reference count serves several views cut from one larger driver buffer.
#![cfg(not(loom))]

use skbpool_pool::Pool;
use std::sync::{Arc, Barrier};
use std::thread;

#[test]
fn many_views_on_one_count() {
    const VIEWS: u32 = 16;
    const THREADS: usize = 4;
    let pool = Pool::builder(4).order(2).build().unwrap();
    let mut buffer = pool.alloc().unwrap();
    for (view, bytes) in buffer.as_mut_slice().unwrap().chunks_mut(1024).enumerate() {
        bytes.fill(view as u8);
    }
    let generation = buffer.header().generation();
    let mut armed = buffer.arm(VIEWS).map_err(|(error, _)| error).unwrap();
    let mut views: Vec<_> = (0..VIEWS).map(|view| armed.skb(view * 1024, 1024).unwrap()).collect();
    let header = std::ptr::from_ref(views[0].header());
    assert!(views.iter().all(|view| std::ptr::eq(view.header(), header)));
    println!(
        "S3: one buffer of 16384 bytes, header {header:p}, {VIEWS} views, references {}",
        views[0].header().references()
    );
    assert_eq!(views[0].header().references(), VIEWS);

    let witness = views[0].clone_skb().unwrap();
    let barrier = Arc::new(Barrier::new(THREADS));
    let threads: Vec<_> = (0..THREADS)
        .map(|number| {
            let (barrier, share) = (Arc::clone(&barrier), views.split_off(views.len() - 4));
            let name = format!("holder-{number}");
            let hold = move || {
                barrier.wait();
                for view in share {
                    assert!(view.data().iter().all(|&byte| byte == view.data()[0]));
                }
            };
            thread::Builder::new().name(name).spawn(hold).unwrap()
        })
        .collect();
    for thread in threads {
        let name = thread.thread().name().unwrap_or("?").to_owned();
        thread.join().unwrap();
        println!("S3: {name} let 4 views go");
    }
    println!("S3: only the witness is left: references {}", witness.header().references());
    assert_eq!(witness.header().references(), 1);
    assert_eq!(pool.stats().in_flight, 1);
    drop(witness);
    let stats = pool.stats();
    println!("S3: last view gone: releases {}, in flight {}", stats.releases, stats.in_flight);
    assert_eq!((stats.releases, stats.violations, pool.audit().unwrap().free), (1, 0, 4));
    let again: Vec<_> = (0..4).map(|_| pool.alloc().unwrap()).collect();
    let came_home = again.iter().filter(|buffer| buffer.header().generation() != generation);
    assert_eq!(came_home.count(), 1, "one buffer came home, once");
}
