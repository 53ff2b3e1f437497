"""The whole daemon in one thread, by seed: `python -m tests.simulate --seed N`.

What runs is the daemon itself, from `service.run` on. Only what lies outside of it is pretend:

    scheduler   its threads are coroutines; who goes next, and when the clock moves, is drawn
    platform    what its modules find under the names time, threading, queue, os, zmq, …
    network     sockets with latency, bounds, and ends that die
    disk        files that are slow, full, failing, or torn by a power cut
    processes   the learner and the player, which it spawns
    sources     radars, cameras and people who label, on clocks that jump and drift
    scenario    drawn from the seed: how all that is set up, and what goes wrong and when
    checks      what must hold after every event, and what must come back once faults stop

The same seed gives the same run to the last event, in any process.
"""
