"""What `weft flash` runs, and what it makes of what the tools say."""

import json
import shutil
import sys
from pathlib import Path

import pytest
from levels import pair

from weft.boards.cache import digest
from weft.boards.flash import REMEDIES, flash_command, read_build, run_flash
from weft.boards.registry import BOARDS
from weft.cli import main
from weft.errors import InputError, RefusedError

PROGRAM = pair("4x4", 0).program


@pytest.fixture(autouse=True)
def no_tools_named(monkeypatch):
    for tool in REMEDIES:
        monkeypatch.delenv(tool.upper().replace("-", "_"), raising=False)


@pytest.fixture
def folder(tmp_path):
    """A compiled folder with a finished build for the iCEBreaker."""
    PROGRAM.save(tmp_path)
    (tmp_path / "top.bin").write_bytes(b"\x7e" * 9)
    build = {
        "board": "icebreaker",
        "files": {"bitstream": "top.bin"},
        "sums": {"bitstream": digest(b"\x7e" * 9)},
        "config_digest": PROGRAM.config.digest,
        "program_digest": PROGRAM.digest,
        "target_mhz": 36.0,
        "baud": 3_000_000,
    }
    (tmp_path / "build.json").write_text(json.dumps(build))
    return tmp_path


def change(folder, **fields):
    file = folder / "build.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **fields}))


def failure(capsys, *arguments):
    status = main(["flash", *map(str, arguments)])
    streams = capsys.readouterr()
    assert streams.out == ""
    assert "Traceback" not in streams.err
    return status, streams.err[streams.err.rindex("rror: ") + len("rror: ") :].replace("\n", " ")


@pytest.mark.parametrize(
    ("board", "sram", "command"),
    [
        ("icebreaker", False, "iceprog top"),
        ("icebreaker", True, "iceprog -S top"),
        ("upduino-v3", False, "iceprog top"),
        ("ulx3s-12f", False, "openFPGALoader -b ulx3s -f top"),
        ("ulx3s-85f", True, "openFPGALoader -b ulx3s top"),
        ("orangecrab-25f", False, "dfu-util -d 1209:5af0 -a 0 -D top"),
        ("ecpix5-85f", False, "openFPGALoader -b ecpix5 -f top"),
        ("tang-nano-9k", False, "openFPGALoader -b tangnano9k -f top"),
        ("tang-primer-20k", True, "openFPGALoader -b tangprimer20k top"),
    ],
)
def test_commands(board, sram, command):
    assert flash_command(BOARDS[board], "top", sram=sram) == command.split()


def test_every_board_s_tool_can_be_had():
    assert {board.flash_tool for board in BOARDS.values()} == set(REMEDIES)


def test_a_board_that_cannot_be_loaded_directly():
    with pytest.raises(InputError, match=r"^UPduino v3 has no way to load its FPGA directly; "):
        flash_command(BOARDS["upduino-v3"], "top", sram=True)


def test_dry_run(folder, capsys):
    assert main(["flash", str(folder), "--dry-run"]) == 0
    assert capsys.readouterr().out == f"would run: iceprog {folder / 'top.bin'}\n"
    assert main(["flash", str(folder), "--dry-run", "--sram", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    command = ["iceprog", "-S", str(folder / "top.bin")]
    assert found == {"command": command, "commands": [command], "done": False}


def test_a_program_for_a_boot_loader(folder, capsys):
    assert failure(capsys, folder, "--program") == (
        1,
        f"the gateware in {folder} has no boot loader that would find a program in flash memory; "
        f"put a program into its bitstream with: weft build DIR --from {folder}, or load it over "
        "the link with: weft run ",
    )
    image = folder / "program.img"
    image.write_bytes(b"abc")
    sums = {"bitstream": digest(b"\x7e" * 9), "program": digest(b"abc")}
    change(folder, files={"bitstream": "top.bin", "program": image.name}, sums=sums)
    program = ["iceprog", "-o", "1048576", str(image)]
    for more, commands in ((["--program"], [program]), ([], [program, ["iceprog", "top.bin"]])):
        assert main(["flash", str(folder), *more, "--dry-run", "--json"]) == 0
        found = json.loads(capsys.readouterr().out)["commands"]
        assert [[Path(part).name for part in command] for command in found] == [
            [Path(part).name for part in command] for command in commands
        ]
    image.write_bytes(b"ab")
    assert failure(capsys, folder) == (
        2,
        f"{image} is not what `weft build` wrote: it was cut short or changed; run `weft build` "
        "again ",
    )
    image.unlink()
    assert failure(capsys, folder) == (2, f"{image} is missing; run `weft build` again ")


def test_no_tool(folder, capsys, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert failure(capsys, folder) == (
        1,
        "iCEBreaker is flashed with iceprog, which is not here; get it with `apt install "
        "fpga-icestorm`, `brew install icestorm`, or the OSS CAD Suite ",
    )


def tool(tmp_path, monkeypatch, says, status=1):
    """An iceprog that says something and stops."""
    file = tmp_path / "iceprog"
    file.write_text(f"#!{sys.executable}\nprint({says!r})\nraise SystemExit({status})\n")
    file.chmod(0o755)
    monkeypatch.setenv("ICEPROG", str(file))
    assert shutil.which(str(file))


@pytest.mark.parametrize(
    ("says", "message"),
    [
        (
            "init..\nCan't find iCE FTDI USB device (vendor_id 0x0403, device_id 0x6010).\nABORT.",
            "no iCEBreaker on USB (iceprog said: ABORT.); plug it in",
        ),
        (
            "unable to open ftdi device: -3 (device not found)",
            "no iCEBreaker on USB (iceprog said: unable to open ftdi device: -3 (device not "
            "found)); plug it in",
        ),
        (
            "unable to open ftdi device: -4 (usb_open() failed)",
            "no permission to use the iCEBreaker on USB (iceprog said: unable to open ftdi device: "
            '-4 (usb_open() failed)); on Linux put SUBSYSTEM=="usb", ATTRS{idVendor}=="0403", '
            'MODE="0666" into /etc/udev/rules.d/60-weft.rules, then unplug the board and plug it '
            "in",
        ),
        (
            "Cannot open DFU device 1209:5af0 found on devnum 7 (LIBUSB_ERROR_ACCESS)",
            "no permission to use the iCEBreaker on USB (iceprog said: Cannot open DFU device "
            '1209:5af0 found on devnum 7 (LIBUSB_ERROR_ACCESS)); on Linux put SUBSYSTEM=="usb", '
            'ATTRS{idVendor}=="0403", MODE="0666" into /etc/udev/rules.d/60-weft.rules, then '
            "unplug the board and plug it in",
        ),
        (
            "erase\nVERIFY ERROR",
            "iceprog stopped with status 1 and said: VERIFY ERROR; plug it in and try again",
        ),
        ("", "iceprog stopped with status 1 and said: nothing; plug it in and try again"),
    ],
)
def test_what_went_wrong(folder, monkeypatch, capsys, says, message):
    tool(folder, monkeypatch, says)
    assert failure(capsys, folder) == (1, f"{message} ")


def test_a_board_says_how_its_boot_loader_starts(tmp_path, monkeypatch):
    tool(tmp_path, monkeypatch, "No DFU capable USB device available")
    board = BOARDS["orangecrab-25f"]
    with pytest.raises(RefusedError, match=r"; hold its button while you plug it in, so that"):
        run_flash(board, [str(tmp_path / "iceprog")])


def test_a_tool_that_never_ends(tmp_path, monkeypatch):
    tool(tmp_path, monkeypatch, "")
    (tmp_path / "iceprog").write_text(f"#!{sys.executable}\nimport time\ntime.sleep(60)\n")
    with pytest.raises(RefusedError, match=r"^iceprog did not come to its end within 0\.2 s"):
        run_flash(BOARDS["icebreaker"], [str(tmp_path / "iceprog")], patience=0.2)


def test_done(folder, tmp_path, monkeypatch, capsys):
    tool(tmp_path, monkeypatch, "VERIFY OK", status=0)
    assert main(["flash", str(folder)]) == 0
    assert capsys.readouterr().out == f"done: {tmp_path / 'iceprog'} {folder / 'top.bin'}\n"


def test_damaged_folders(folder, capsys):
    bitstream, build = folder / "top.bin", folder / "build.json"
    bitstream.write_bytes(b"\x7e" * 4)
    assert failure(capsys, folder) == (
        2,
        f"{bitstream} is not what `weft build` wrote: it was cut short or changed; run `weft "
        "build` again ",
    )
    bitstream.unlink()
    assert failure(capsys, folder) == (2, f"{bitstream} is missing; run `weft build` again ")
    bitstream.mkdir()
    assert failure(capsys, folder) == (
        2, f"{bitstream} cannot be read (Is a directory); run `weft build` again ",
    )  # fmt: skip
    change(folder, files={"bitstream": "a" * 300})
    assert failure(capsys, folder) == (
        2,
        f"{folder / ('a' * 300)} cannot be read (File name too long); run `weft build` again ",
    )
    for text in ("", "[]", "{}", '{"board": 3}', "\xff"):
        build.write_bytes(text.encode("latin-1"))
        assert failure(capsys, folder) == (
            2, f"{build} holds no finished build; run `weft build` again ",
        )  # fmt: skip
    build.unlink()
    with pytest.raises(InputError, match=r"holds no build\.json; run `weft build` on it first"):
        read_build(folder)
    assert failure(capsys, folder / "none") == (
        2,
        f"there is no folder {folder / 'none'}; make it with: weft compile MODEL -o "
        f"{folder / 'none'} ",
    )
    assert failure(capsys, build.with_name("program.json")) == (
        2,
        f"{folder / 'program.json'} is a file and no folder; give a folder that weft compile "
        "wrote ",
    )


def test_a_folder_that_was_compiled_again(folder, capsys):
    for field, what in (("program_digest", "program"), ("config_digest", "configuration")):
        change(folder, **{field: "0" * 16})
        digest = PROGRAM.digest if what == "program" else PROGRAM.config.digest
        assert failure(capsys, folder) == (
            1,
            f"{folder / 'top.bin'} was built of {what} {'0' * 16}, and {folder} holds {digest}: "
            "it was compiled again since; run `weft build` on it ",
        )
    change(folder, config_digest=PROGRAM.config.digest, program_digest=None)
    assert main(["flash", str(folder), "--dry-run"]) == 0


def test_an_unknown_board(folder, capsys):
    for board in ("arty", 5):
        change(folder, board=board)
        assert failure(capsys, folder) == (
            2,
            f"{folder / 'build.json'} is for a board {board!r}, which this weft does not know; run "
            "`weft build` again ",
        )
