"""Latchkey: a device decides offline whom to obey.

Where things are (docs/map.md follows a token, a key set, a list, a pairing and a state change through them):

    latchkey/   verification, without hardware: rsa, jws, jwk, claims, policy, verifier; keystore (the cloud's keys)
                and ledger (the cloud's list of tokens); what these need: strictjson, bignum, sha512, times, limits
      stores/   what is kept in flash: two slots for each thing, the latest known time, the records of a list
      cloud/    the MQTT link: connect, subscribe, read messages, say why it is offline
      api/      the local HTTP API without sockets: parse requests, ask for permission, answer
      device/   the device itself: settings, pairing, provisioning, start and safe state, sleep, log
      net/      sockets, TLS and the link's thread
      hw/       adapters of a chip: clock, flash, NVS, Wi-Fi, watchdog, lights, sensors
      products/ what the device is: bulb, room sensor
    main.py builds the device of a board and runs it; cable.py serves the serial cable; features/ says which modules
    belong to which feature, and boards/NAME/manifest.py which features a board carries.

Comments name rules such as V3 or A11. docs/protocol.md has them: V, the way of a token through verification; K, the
cloud's keys; L, the ledger of tokens; T, time; A, the local API.
"""

__version__ = "0.1.0"
