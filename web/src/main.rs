//! The web app as a program: everything is in the library, where tests reach it.

fn main() {
    web::run();
}
