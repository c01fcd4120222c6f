/**
 * Subjects carried by one line between two processes: a pipe, or a serial line of a lab machine. The inner one publishes and subscribes, the
 * outer one does so for it at a transport of its own. Each message is a text line with a checksum: one that the line has damaged is lost.
 */
import type { Duplex } from 'node:stream';
import { crc32 } from 'node:zlib';
import type { Transport } from '../transport.ts';

/** P: the inner publishes. S: it subscribes. M: a message for it. C: how many bytes have come to it. */
type Kind = 'P' | 'S' | 'M' | 'C';

interface Packet {
  readonly kind: Kind;
  readonly subject: string;
  readonly message: Buffer;
}

/** How often the inner says what it subscribes to, in ms: the line may lose it. */
const AGAIN = 500;
/** A line that is longer is none of ours, in bytes. */
const LONGEST = 65_536;
/**
 * So much is on its way in each direction at most, in bytes; what is more is lost. Whoever sends it again is better served than by a message
 * that has waited for seconds.
 */
const MOST_WAITING = 16_384;
/** The inner end tells how much has come after each so many bytes. */
const TELL = 2048;
/** What the outer end has not been told of for so long, in ms, is not on its way any more. */
const GONE = 2000;
const NEWLINE = 10;

const checksum = (bytes: Uint8Array) => crc32(bytes).toString(16).padStart(8, '0');

function packetOf(kind: Kind, subject: string, message: Uint8Array = new Uint8Array()): Buffer | null {
  if (message.includes(NEWLINE)) return null;
  const body = Buffer.concat([Buffer.from(`${kind}${subject} `), message]);
  return Buffer.concat([Buffer.from(checksum(body)), body, Buffer.from('\n')]);
}

/** Takes a stream of packets apart; tells nothing of what is damaged. */
class PacketReader {
  #rest = Buffer.alloc(0);

  feed(bytes: Buffer): Packet[] {
    const packets: Packet[] = [];
    let all = Buffer.concat([this.#rest, bytes]);
    for (let end = all.indexOf(NEWLINE); end >= 0; end = all.indexOf(NEWLINE)) {
      const packet = read(all.subarray(0, end));
      if (packet) packets.push(packet);
      all = all.subarray(end + 1);
    }
    this.#rest = all.length > LONGEST ? Buffer.alloc(0) : Buffer.from(all);
    return packets;
  }
}

function read(line: Buffer): Packet | undefined {
  const body = line.subarray(8);
  const space = body.indexOf(' ');
  if (space < 1 || line.toString('latin1', 0, 8) !== checksum(body)) return undefined;
  const kind = String.fromCharCode(body[0]!);
  if (kind !== 'P' && kind !== 'S' && kind !== 'M' && kind !== 'C') return undefined;
  return { kind, subject: body.toString('utf8', 1, space), message: body.subarray(space + 1) };
}

function write(line: Duplex, packet: Buffer | null): void {
  if (packet && line.writable && line.writableLength < MOST_WAITING) line.write(packet);
}

/** The inner end. */
export function lineTransport(line: Duplex): Transport {
  const takers = new Map<string, ((message: Uint8Array) => void)[]>();
  const reader = new PacketReader();
  const subscribe = () => {
    for (const subject of takers.keys()) write(line, packetOf('S', subject));
  };
  const timer = setInterval(subscribe, AGAIN).unref();
  let came = 0;
  let told = 0;
  line.on('error', () => line.destroy());
  line.on('data', (bytes: Buffer) => {
    came += bytes.length;
    if (came - told >= TELL) {
      told = came;
      write(line, packetOf('C', '.', Buffer.from(String(came))));
    }
    for (const { kind, subject, message } of reader.feed(bytes))
      if (kind === 'M') for (const take of takers.get(subject) ?? []) take(message);
  });
  return {
    publish: (subject, message) => write(line, packetOf('P', subject, message)),
    subscribe(subject, take) {
      takers.set(subject, [...(takers.get(subject) ?? []), take]);
      write(line, packetOf('S', subject));
    },
    close: async () => {
      clearInterval(timer);
      takers.clear();
      if (!line.destroyed) await new Promise<void>((done) => void line.end(() => done()));
    },
  };
}

/** The outer end: does at the transport what the inner one asks for. */
export function serveLine(line: Duplex, transport: Transport): void {
  const known = new Set<string>();
  const reader = new PacketReader();
  let sent = 0;
  let came = 0;
  let heard = performance.now();
  const send = (packet: Buffer | null) => {
    if (!packet) return;
    const now = performance.now();
    if (now - heard > GONE) {
      came = sent;
      heard = now;
    }
    if (sent - came > MOST_WAITING) return;
    sent += packet.length;
    write(line, packet);
  };
  line.on('error', () => line.destroy());
  line.on('data', (bytes: Buffer) => {
    for (const { kind, subject, message } of reader.feed(bytes)) {
      if (kind === 'P') transport.publish(subject, message);
      if (kind === 'C') {
        came = Math.max(came, Math.min(Number(message.toString()) || 0, sent));
        heard = performance.now();
      }
      if (kind !== 'S' || known.has(subject)) continue;
      known.add(subject);
      transport.subscribe(subject, (message) => send(packetOf('M', subject, message)));
    }
  });
}
