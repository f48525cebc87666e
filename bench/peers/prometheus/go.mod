// The opponent and oracle: Prometheus 3.16 with promtool, built by `npm run bench:peers`.
module narthex/bench/peers/prometheus

go 1.26.7

require github.com/prometheus/prometheus v0.316.0
