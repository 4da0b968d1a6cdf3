//! What each setting of `config.txt` means for an emulated start.
//!
//! Three answers: it is evaluated here, it makes no difference to what is started and how, or the emulation leaves it out, which is
//! said. Source: Raspberry Pi documentation, "config.txt", all its chapters.

use crate::config_txt::{Config, Sourced};

/// Settings that are evaluated in this room.
const EVALUATED: &[&str] = &[
    "arm_64bit",
    "arm_control",
    "armstub",
    "auto_initramfs",
    "boot_partition",
    "cmdline",
    "core_freq",
    "device_tree",
    "device_tree_overlay",
    "device_tree_param",
    "dtoverlay",
    "dtparam",
    "enable_uart",
    "fixup_file",
    "gpu_mem",
    "gpu_mem_1024",
    "include",
    "initramfs",
    "kernel",
    "kernel_address",
    "kernel_old",
    "os_prefix",
    "overlay_prefix",
    "ramfsaddr",
    "ramfsfile",
    "start_debug",
    "start_file",
    "start_x",
    "upstream_kernel",
];

/// Settings of display, camera, clocks, memory of other boards and the like.
const HARMLESS: &[&str] = &[
    "arm_boost",
    "arm_peri_high",
    "avoid_pwm_pll",
    "avoid_safe_mode",
    "avoid_warnings",
    "awb_auto_is_greyworld",
    "boot_delay",
    "boot_delay_ms",
    "bootcode_delay",
    "camera_auto_detect",
    "config_hdmi_boost",
    "disable_audio_dither",
    "disable_camera_led",
    "disable_commandline_tags",
    "disable_fw_kms_setup",
    "disable_l2cache",
    "disable_overscan",
    "disable_poe_fan",
    "disable_pvt",
    "disable_splash",
    "disable_touchscreen",
    "dtdebug",
    "eeprom_write_protect",
    "enable_gic",
    "enable_jtag_gpio",
    "enable_tvout",
    "enable_audio_dither",
    "force_eeprom_read",
    "force_turbo",
    "gpio",
    "gpu_mem_256",
    "gpu_mem_512",
    "hvs_priority",
    "ignore_lcd",
    "initial_turbo",
    "max_usb_current",
    "never_over_voltage",
    "os_check",
    "otg_mode",
    "pciex4_reset",
    "sha256",
    "supress_warnings",
    "temp_limit",
    "temp_soft_limit",
    "tryboot_a_b",
    "uart_2ndstage",
    "usb_max_current_enable",
];

/// Beginnings of names of settings that are as harmless.
const HARMLESS_PREFIXES: &[&str] = &[
    "arm_freq",
    "audio_",
    "cec_",
    "core_freq_",
    "decode_",
    "disable_hdmi",
    "dispmanx_",
    "display_",
    "dpi_",
    "edid_",
    "framebuffer_",
    "gpu_freq",
    "h264_freq",
    "hdmi_",
    "hevc_freq",
    "isp_freq",
    "lcd_",
    "max_framebuffer",
    "over_voltage",
    "overscan_",
    "pwm_",
    "sdram_",
    "sdtv_",
    "v3d_freq",
];

/// Settings that change a start and that no emulation here follows, with what becomes of them.
const NOT_EMULATED: &[(&str, &str)] = &[
    (
        "device_tree_address",
        "the emulator has its own address for the device tree",
    ),
    (
        "device_tree_end",
        "the emulator has its own address for the device tree",
    ),
    ("init_uart_baud", "an emulated UART has no baud rate"),
    ("init_uart_clock", "an emulated UART has no clock"),
    (
        "kernel_watchdog_partition",
        "the emulated firmware has no watchdog",
    ),
    (
        "kernel_watchdog_timeout",
        "the emulated firmware has no watchdog",
    ),
    (
        "program_gpio_bootmode",
        "it changes the board for good; nothing is changed here",
    ),
    (
        "program_usb_boot_mode",
        "it changes the board for good; nothing is changed here",
    ),
    ("total_mem", "the emulated board has all its memory"),
];

/// Whether a setting of this name is known to somebody.
fn is_known(key: &str) -> bool {
    let base = key.split(':').next().unwrap_or(key);
    EVALUATED.contains(&base)
        || HARMLESS.contains(&base)
        || HARMLESS_PREFIXES
            .iter()
            .any(|prefix| base.starts_with(prefix))
        || NOT_EMULATED.iter().any(|(name, _)| *name == base)
}

/// What must be said of settings that are neither evaluated nor harmless.
pub(super) fn notes(config: &Config) -> Vec<String> {
    let settings = config.other.iter();
    settings
        .filter_map(|(key, Sourced { value, at })| {
            let not_emulated = NOT_EMULATED.iter().find(|(name, _)| name == key);
            let lower = key.to_ascii_lowercase();
            match not_emulated {
                Some((_, instead)) => Some(format!("{at}: {key}={value} has no effect: {instead}")),
                None if is_known(key) => None,
                None if *key != lower && is_known(&lower) => Some(format!(
                    "{at}: no setting is called `{key}`; the firmware reads it in lower case alone: `{lower}`"
                )),
                None => Some(format!("{at}: {key}={value} is not known here")),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config_txt::{self, BoardModel, Conditions, Hardware};

    fn said(text: &str) -> Vec<String> {
        let conditions = Conditions {
            hardware: Hardware {
                model: BoardModel::Pi3B,
                serial: 1,
            },
            partition: 1,
        };
        let config = config_txt::parse(text.as_bytes(), "c", &conditions, &mut |_| None);
        notes(&config.unwrap())
    }

    #[test]
    fn only_what_makes_a_difference_is_said() {
        let harmless = "hdmi_group:0=1\ngpio=4=op\narm_freq=600\nover_voltage=-2\ndisable_splash=1\ncamera_auto_detect=1\nstart_x=1\n";
        assert_eq!(said(harmless), [""; 0]);
        insta::assert_snapshot!(said("total_mem=512\nKernel=x\nfrobnicate=1").join("\n"), @r"
        c:2: no setting is called `Kernel`; the firmware reads it in lower case alone: `kernel`
        c:3: frobnicate=1 is not known here
        c:1: total_mem=512 has no effect: the emulated board has all its memory
        ");
    }
}
