//! Keeps the section in which pgrx leaves the SQL declarations, which the linker would drop as unused. Said here and not in
//! RUSTFLAGS, so that it concerns this one link and all builds share their dependencies.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-cdylib-link-arg=-Wl,--no-gc-sections");
}
