/** The serial lines of a machine: sockets that its emulator connects to, and where their bytes go. */

import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import type { OutputStream } from '../../base/node-shapes.ts';
import type { LineAddress } from '../lanes/lane.ts';

/** One line. */
export interface Line extends LineAddress {
  /** Called once, when the emulator has connected. */
  connected: Promise<Socket>;
  close(): void;
}

/**
 * Listens for an emulator's serial line: on a socket file, or on a TCP port of the loopback for an emulator that knows
 * no other. The first one to come is taken, and nobody after it.
 */
export function openLine(dir: string, name: string, kind: 'unix' | 'tcp'): Promise<Line> {
  return new Promise((resolve, reject) => {
    const server: Server = createServer({ pauseOnConnect: true });
    let socket: Socket | undefined;
    const connected = new Promise<Socket>((taken) => {
      server.once('connection', (first) => {
        socket = first;
        // A reset when the emulator is killed is an end like any other.
        first.on('error', () => first.destroy());
        server.close();
        taken(first);
      });
    });
    const path = join(dir, name);
    const close = () => {
      if (server.listening) server.close();
      socket?.destroy();
    };
    server.once('error', reject);
    const ready = () => {
      const address = server.address();
      resolve({ path, port: typeof address === 'object' && address ? address.port : 0, connected, close });
    };
    if (kind === 'unix') server.listen(path, ready);
    else server.listen(0, '127.0.0.1', ready);
  });
}

/** Passes on what comes by a line, and tells when bytes `came` and when the reader of `output` has `gone`. */
export function passOn(socket: Socket, output: OutputStream, reading: { came(): void; gone(): void }): void {
  // Nobody reads any more: what is still to come has no use, and waiting for room would never end.
  let isGone = false;
  const gone = () => {
    isGone = true;
    reading.gone();
    socket.resume();
  };
  output.once('error', gone);
  output.once('close', gone);
  socket.once('close', () => {
    output.off('error', gone);
    output.off('close', gone);
  });
  socket.on('data', (bytes) => {
    reading.came();
    // Never paused: a slow reader must not hold up the machine, whose silence would then look like a freeze. No emulated
    // machine writes more than memory can hold until the reader has taken it.
    if (!isGone) output.write(bytes);
  });
}

/** Resolves when all that was written has been taken, or nobody takes it. */
export function flushed(output: OutputStream): Promise<void> {
  return new Promise((resolve) => {
    if (output.writable) output.write('', () => resolve());
    else resolve();
  });
}
