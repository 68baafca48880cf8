// SPDX-License-Identifier: GPL-2.0

//! Tracepoints, which are off.

#[no_mangle]
extern "C" fn syncmap_helper_trace_dirty(_: *const (), _: usize, _: bool) {}

#[no_mangle]
extern "C" fn syncmap_helper_trace_promote(_: *const (), _: usize, _: usize) {}

#[no_mangle]
extern "C" fn syncmap_helper_trace_clear(_: *const (), _: usize) {}

#[no_mangle]
extern "C" fn syncmap_helper_trace_sweep(_: *const (), _: usize, _: usize) {}

#[no_mangle]
extern "C" fn syncmap_helper_trace_freed(_: *const (), _: usize) {}
