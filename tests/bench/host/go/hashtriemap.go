// SPDX-License-Identifier: GPL-2.0

//go:build goexperiment.synchashtriemap

package main

const contender = "go-hashtriemap"
