//! Names what this target offers, so that the sources ask one word and not five conditions.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(tokio_unstable)");
    println!("cargo::rustc-check-cfg=cfg(task_hooks)");
    println!("cargo::rustc-check-cfg=cfg(task_dumps)");
    let unstable = env::var_os("CARGO_CFG_TOKIO_UNSTABLE").is_some();
    let linux = env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux");
    let dumps = env::var("CARGO_CFG_TARGET_ARCH")
        .is_ok_and(|arch| matches!(arch.as_str(), "x86" | "x86_64" | "aarch64"));
    if unstable {
        println!("cargo::rustc-cfg=task_hooks");
    }
    if unstable && linux && dumps {
        println!("cargo::rustc-cfg=task_dumps");
    }
}
