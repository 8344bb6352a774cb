//! The app's second part as a program: what is opened seldom, loaded when it first is.

fn main() {
    web::extra::run();
}
