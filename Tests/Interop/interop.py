# SPDX-License-Identifier: Apache-2.0
"""An independent USB/IP server and an independent client (see requirements.txt), for mk/tests/interop-host.sh.

  serve PORT FILE    serves a virtual serial port that echoes; FILE gets its descriptors
  list PORT [FILE]   what the client is offered, as JSON; it must be what `ringway list --json` says in FILE
  refused PORT       an import that must be refused
  use PORT FILE OUT  attaches, checks every descriptor against FILE, echoes, unlinks; OUT gets all that crossed
  direct FILE OUT    the same over TCP, without Ringway
"""

import json
import signal
import socket
import sys

VENDOR, PRODUCT = 0x1209, 0x0001
DEVICE, CONFIGURATION = 1, 2
GET_DESCRIPTOR = 6


def plug(port):
    """Starts the server; its threads end with the process."""
    from usbip import USBDevice
    from usbip.classes.device.cdc_acm import CDCACM
    from usbip.core import OUT, SPEED_HIGH
    from usbip.transport import USBIP

    class Echo(USBDevice):
        def handle_urb(self, urb, respond):
            # The client looks for what it sent only behind the answer to its sending.
            if urb.direction == OUT and urb.ep != 0:
                urb.status, urb.actual = 0, len(urb.buffer)
                respond(urb)
                data.write(urb.buffer)
                return None
            return super().handle_urb(urb, respond)

    device = Echo(VENDOR, PRODUCT, manufacturer="Ringway", product="echo", serial="interop")
    device.set_speed(SPEED_HIGH)
    data = device.add(CDCACM()).in_ep
    device.plug(via=USBIP("127.0.0.1", port))
    return device


def write_descriptors(device, path):
    """What the device says of itself, without any USB/IP."""
    from usbip.core import IN, Setup, Urb

    found = {}
    for kind in (DEVICE, CONFIGURATION):
        setup = Setup(0x80, GET_DESCRIPTOR, kind << 8, 0, 4096).pack()
        urb = Urb(direction=IN, ep=0, setup=setup, length=4096)
        device.handle_urb(urb, lambda _: None)
        found[kind] = bytes(urb.buffer).hex()
    with open(path, "w", encoding="ascii") as file:
        json.dump(found, file)


def client(port, log):
    """The client, whose every byte goes into `log`: {"sent": …, "received": …}."""
    from serial_usbipclient.socket_wrapper import SocketWrapper
    from serial_usbipclient.usbip_client import USBIPClient

    class Recorder(SocketWrapper):
        def sendall(self, data):
            log["sent"] += data
            super().sendall(data)

        def recv(self, size):
            data = super().recv(size)
            log["received"] += data
            return data

    class Client(USBIPClient):
        # So many reads wait on the device, and are unlinked in the end.
        URB_QUEUE_MIN = 1
        URB_QUEUE_MAX = 3

    return Client(remote=("127.0.0.1", port), command_timeout=10.0, socket_class=Recorder)


def pdus(stream, lengths):
    """The URB phase's messages: head and payload. `lengths` says how long a payload is."""
    position = 0
    while position < len(stream):
        head = stream[position:position + 48]
        assert len(head) == 48, f"the stream ends in a header of {len(head)} bytes"
        length = lengths(head)
        payload = stream[position + 48:position + 48 + length]
        assert len(payload) == length, f"the stream ends in a payload, {len(payload)} of {length} bytes"
        position += 48 + length
        yield head, payload


def word(head, index):
    return int.from_bytes(head[4 * index:4 * index + 4], "big")


def use(port, expected, out):
    from serial_usbipclient.usbip_client import HardwareID

    with open(expected, encoding="ascii") as file:
        descriptors = {int(kind): bytes.fromhex(text) for kind, text in json.load(file).items()}
    log = {"sent": bytearray(), "received": bytearray()}
    wanted = HardwareID(vid=VENDOR, pid=PRODUCT)
    tool = client(port, log)
    tool.attach(devices=[wanted])
    connection = tool.get_connection(device=wanted)[0]
    lines = [bytes(65 + (i + j) % 26 for j in range(length)) + b"\r\n" for i, length in enumerate((5, 62, 510, 4000))]
    for line in lines:
        tool.send(connection, line)
        answer = connection.response_data(size=len(line), timeout=10.0)
        assert answer == line, f"{len(line)} bytes went out, and {answer!r} came back"
    waiting = [command.seqnum for command in connection.pending_commands]
    tool.shutdown()

    # Behind the list, and the import's request (40 bytes) and reply (320).
    sent = bytes(log["sent"][8 + 40:])
    received = bytes(log["received"])
    interfaces = received[8 + 4 + 311]
    received = received[8 + 4 + 312 + 4 * interfaces + 320:]
    commands = {}
    unlinked = []
    for head, payload in pdus(sent, lambda head: word(head, 6) if word(head, 0) == 1 and not word(head, 3) else 0):
        commands[word(head, 1)] = head
        if word(head, 0) == 2:
            unlinked.append(word(head, 5))
    # The client says "in" of control requests without data, and the server repeats it. The guard makes it "out".
    empty = {number for number, head in commands.items() if word(head, 0) == 1 and not word(head, 4) + word(head, 6)}
    replies = {}
    without_direction = b""
    incoming = {seqnum for seqnum, head in commands.items() if word(head, 0) == 1 and word(head, 3)}
    for head, payload in pdus(received, lambda head: word(head, 6) if word(head, 1) in incoming else 0):
        replies[word(head, 1)] = (head, payload)
        direction = bytes(4) if word(head, 1) in empty else head[12:16]
        without_direction += head[:12] + direction + head[16:] + payload
    seen = set()
    for seqnum, head in commands.items():
        if word(head, 0) == 1 and head[40:42] == bytes([0x80, GET_DESCRIPTOR]):
            kind, length = head[43], int.from_bytes(head[46:48], "little")
            if kind not in descriptors:
                continue
            reply, payload = replies[seqnum]
            assert word(reply, 5) == 0, f"GET_DESCRIPTOR of type {kind}: status {word(reply, 5)}"
            assert payload == descriptors[kind][:length], f"descriptor of type {kind}: {payload.hex()}"
            seen.add((kind, len(payload)))
    assert seen == {(DEVICE, 18), (CONFIGURATION, 9), (CONFIGURATION, len(descriptors[CONFIGURATION]))}, f"{seen}"
    assert unlinked and unlinked == waiting, f"{waiting} waited, and {unlinked} were unlinked"
    for seqnum, head in commands.items():
        if word(head, 0) == 2:
            assert word(replies[seqnum][0], 0) == 4, f"the unlink {seqnum} was answered with {replies[seqnum]}"
    with open(out, "w", encoding="ascii") as file:
        for name, stream in (("commands", sent), ("replies", without_direction)):
            file.write(f"{name} {stream.hex()}\n")
    print(f"{len(commands)} commands, {len(unlinked)} of them unlinks; "
          f"{len(log['sent'])} bytes sent, {len(log['received'])} received")


def main():
    command, arguments = sys.argv[1], sys.argv[2:]
    if command == "serve":
        device = plug(int(arguments[0]))
        write_descriptors(device, arguments[1])
        print("ready", flush=True)
        signal.pause()
    elif command == "list":
        tool = client(int(arguments[0]), {"sent": bytearray(), "received": bytearray()})
        theirs = [
            {
                "busid": path.busid.rstrip(b"\0").decode(),
                "path": path.path.rstrip(b"\0").decode(),
                "vendor": f"{path.idVendor:04x}",
                "product": f"{path.idProduct:04x}",
                "speed": {2: "12", 3: "480", 5: "5000"}.get(path.speed),
                "class": path.bDeviceClass,
                "interfaces": [
                    dict(zip(("class", "subclass", "protocol"), one.pack())) for one in path.interfaces
                ],
            }
            for path in tool.list_published().paths
        ]
        print(json.dumps(theirs))
        if arguments[1:]:
            with open(arguments[1], encoding="utf-8") as file:
                ours = json.load(file)["devices"]
            assert len(theirs) == 1 and theirs == ours, f"Ringway lists {ours}"
        tool.shutdown()
    elif command == "refused":
        from serial_usbipclient.usbip_client import USBAttachError

        tool = client(int(arguments[0]), {"sent": bytearray(), "received": bytearray()})
        try:
            tool.import_device(busid=b"9-9".ljust(32, b"\0"))
        except USBAttachError as refusal:
            print(f"refused with status {refusal.errno}")
            return
        sys.exit("9-9 was imported")
    elif command == "use":
        use(int(arguments[0]), arguments[1], arguments[2])
    elif command == "direct":
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        write_descriptors(plug(port), arguments[0])
        use(port, arguments[0], arguments[1])
    else:
        sys.exit(__doc__)


main()
