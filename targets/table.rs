// One line a microcontroller, in the order in which `tinyc targets` prints them.
// This list is all of the program that spells chip names; a test holds it equal
// to the folder. It is an expression: compiler/src/target/builtin.rs includes it.
&[
    ("arduino-nano33ble.toml", include_str!("arduino-nano33ble.toml")),
    ("nrf52832.toml", include_str!("nrf52832.toml")),
    ("nrf5340.toml", include_str!("nrf5340.toml")),
    ("stm32f103.toml", include_str!("stm32f103.toml")),
    ("stm32f407.toml", include_str!("stm32f407.toml")),
    ("stm32f411.toml", include_str!("stm32f411.toml")),
    ("stm32f446.toml", include_str!("stm32f446.toml")),
    ("stm32f746.toml", include_str!("stm32f746.toml")),
    ("stm32g071.toml", include_str!("stm32g071.toml")),
    ("stm32g0b1.toml", include_str!("stm32g0b1.toml")),
    ("stm32h743.toml", include_str!("stm32h743.toml")),
    ("stm32l4r5.toml", include_str!("stm32l4r5.toml")),
    ("stm32u585.toml", include_str!("stm32u585.toml")),
    ("rp2040.toml", include_str!("rp2040.toml")),
    ("rp2350.toml", include_str!("rp2350.toml")),
    ("samd21g18a.toml", include_str!("samd21g18a.toml")),
    ("samd51p19a.toml", include_str!("samd51p19a.toml")),
    ("esp32c3.toml", include_str!("esp32c3.toml")),
    ("ensemble-e3-he.toml", include_str!("ensemble-e3-he.toml")),
    ("apollo4plus.toml", include_str!("apollo4plus.toml")),
    ("host.toml", include_str!("host.toml")),
]
