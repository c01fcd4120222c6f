/** What a command and the process that keeps a machine say to each other: messages on a socket, each with its length. */

/** A message's kind is one byte. */
const kinds = {
  /** First, from the command: what it wants, as JSON. */
  ask: 1,
  /** What the keeper says to that, as JSON. */
  answer: 2,
  /** The archive of files that the machine unpacks before it runs the command. */
  archive: 3,
  /** The line that tells the machine's init of it. */
  begin: 4,
  /** Bytes that came by the machine's lines. */
  console: 5,
  stdout: 6,
  stderr: 7,
  /** The machine has ended: how. */
  ended: 8,
  /** The command wants the machine's end. */
  kill: 9,
  /** The command is done, and the machine may be given to another. */
  done: 10,
} as const;

export type MessageKind = keyof typeof kinds;

export interface Message {
  kind: MessageKind;
  data: Buffer;
}

const names = new Map<number, MessageKind>(
  Object.entries(kinds).map(([kind, number]) => [number, kind as MessageKind]),
);
const HEAD = 5;

/** A command may bring 32 MiB of files beside its code. */
export const LONGEST_MESSAGE = 40 << 20;

/** What comes is no message. */
export class WireError extends Error {}

/** The bytes of a message. */
export function packMessage(kind: MessageKind, data: Uint8Array | string = ''): Buffer {
  const body = Buffer.from(data as Uint8Array);
  const head = Buffer.alloc(HEAD);
  head.writeUInt8(kinds[kind], 0);
  head.writeUInt32LE(body.length, 1);
  return Buffer.concat([head, body]);
}

/** Takes a stream of messages apart. */
export class MessageReader {
  #chunks: Buffer[] = [];
  #length = 0;

  /** Takes bytes as they came, answers the messages that are whole. @throws WireError; what follows is of no use then */
  feed(bytes: Buffer): Message[] {
    this.#chunks.push(bytes);
    this.#length += bytes.length;
    const messages: Message[] = [];
    for (let size = this.#size(); size !== undefined && this.#length >= size; size = this.#size()) {
      const all = Buffer.concat(this.#chunks);
      messages.push({ kind: names.get(all.readUInt8(0))!, data: all.subarray(HEAD, size) });
      this.#chunks = [all.subarray(size)];
      this.#length = all.length - size;
    }
    return messages;
  }

  /** Of the message that has begun; undefined while that is not known. */
  #size(): number | undefined {
    if (this.#length < HEAD) return undefined;
    if (this.#chunks[0]!.length < HEAD) this.#chunks = [Buffer.concat(this.#chunks)];
    const head = this.#chunks[0]!;
    const kind = head.readUInt8(0);
    const length = head.readUInt32LE(1);
    if (!names.has(kind)) throw new WireError(`there is no message of kind ${kind}`);
    if (length > LONGEST_MESSAGE) throw new WireError(`a message of ${length} bytes is too long`);
    return HEAD + length;
  }
}
