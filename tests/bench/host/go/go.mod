module syncmap/bench

go 1.24
