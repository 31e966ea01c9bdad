//! I12: fork is survived. In the child pools are dead, inherited views are private copies, and nothing
//! waits for threads that are not there.

#[path = "fork/child.rs"]
mod child;
#[path = "fork/threads.rs"]
mod threads;
#[path = "fork/views.rs"]
mod views;
