/** One end of a socket between a command and the process that keeps a machine. */
import { closeSync, constants, existsSync, openSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import type { LaneName } from '../lanes/index.ts';
import { warmFolder } from '../work-folder.ts';
import { type Message, type MessageKind, MessageReader, packMessage } from './wire.ts';

/** The names in the folder of a lane's machine. */
export const SOCKET = 'socket';
export const PID = 'pid';
export const LOG = 'log';

/** A path that a socket can have, whose longest has 107 bytes: through a descriptor of the folder. */
export function withSocketPath<T>(dir: string, use: (path: string, done: () => void) => T): T {
  const folder = openSync(dir, constants.O_RDONLY | constants.O_DIRECTORY);
  return use(`/proc/self/fd/${folder}/${SOCKET}`, () => closeSync(folder));
}

export class KeeperConnection {
  /** Resolves when the other end has gone, or says what nobody can read. */
  readonly closed: Promise<void>;
  readonly #socket: Socket;
  readonly #reader = new MessageReader();
  #listener: (message: Message) => void = () => {};
  #held: Message[] = [];
  #listens = false;

  constructor(socket: Socket) {
    this.#socket = socket;
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()));
    socket.on('error', () => socket.destroy());
    socket.on('data', (bytes) => {
      try {
        for (const message of this.#reader.feed(bytes)) this.#take(message);
      } catch {
        socket.destroy();
      }
    });
  }

  /** Who takes what comes: what came before is given at once. */
  listen(listener: (message: Message) => void): void {
    this.#listener = listener;
    this.#listens = true;
    const held = this.#held;
    this.#held = [];
    for (const message of held) listener(message);
  }

  send(kind: MessageKind, data: Uint8Array | string = ''): void {
    if (this.#socket.writable) this.#socket.write(packMessage(kind, data));
  }

  /** Closes when all that was sent is out. */
  end(): void {
    this.#socket.end();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #take(message: Message): void {
    if (this.#listens) this.#listener(message);
    else this.#held.push(message);
  }
}

/** Connects to the process that keeps a lane's machine; `null` if there is none. */
export function connectKeeper(lane: LaneName): Promise<KeeperConnection | null> {
  const dir = warmFolder(lane);
  if (dir === undefined || !existsSync(dir)) return Promise.resolve(null);
  return withSocketPath(
    dir,
    (path, done) =>
      new Promise((resolve) => {
        const socket = connect(path);
        const refused = () => {
          done();
          resolve(null);
        };
        socket.once('error', refused);
        socket.once('connect', () => {
          socket.off('error', refused);
          done();
          resolve(new KeeperConnection(socket));
        });
      }),
  );
}

export const pidFile = (dir: string): string => join(dir, PID);
