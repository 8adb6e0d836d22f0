//! Names what this target offers, so that the sources ask one word and not five conditions.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(tokio_unstable)");
    println!("cargo::rustc-check-cfg=cfg(task_hooks)");
    println!("cargo::rustc-check-cfg=cfg(task_dumps)");
    println!("cargo::rustc-check-cfg=cfg(interposing)");
    let unstable = env::var_os("CARGO_CFG_TOKIO_UNSTABLE").is_some();
    let target = |what: &str| env::var(format!("CARGO_CFG_TARGET_{what}")).unwrap_or_default();
    let linux = target("OS") == "linux";
    if unstable {
        println!("cargo::rustc-cfg=task_hooks");
    }
    if unstable && linux && matches!(target("ARCH").as_str(), "x86" | "x86_64" | "aarch64") {
        println!("cargo::rustc-cfg=task_dumps");
    }
    // What std asks of the system passes through libc's names on glibc, and the arguments of a
    // system call lie in registers where words have 64 bits.
    if linux && target("ENV") == "gnu" && target("POINTER_WIDTH") == "64" {
        println!("cargo::rustc-cfg=interposing");
    }
}
