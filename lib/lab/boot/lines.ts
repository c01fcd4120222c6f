/** The serial lines of a machine: sockets that its emulator connects to, and where their bytes go. */

import { closeSync, constants, openSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import type { LineAddress } from '../lanes/lane.ts';
import type { Report } from '../progress.ts';
import { peerSocket, socketsOf } from './loopback-peer.ts';
import type { MachineLine } from './machine.ts';

/** One line. */
export interface Line extends LineAddress, MachineLine {
  /** Says which process the emulator is. A TCP line takes nobody else, and nobody before it is known. */
  expect(pid: number): void;
}

/**
 * Listens for an emulator's serial line: on a socket file of the run's folder, which nobody else can enter, or on a TCP
 * port of the loopback for an emulator that knows no other. To that port every user of the machine can connect: only a
 * connection whose other end is open in the emulator is taken, and others are refused and told.
 */
export function openLine(dir: string, name: string, kind: 'unix' | 'tcp', report: Report): Promise<Line> {
  return new Promise((resolve, reject) => {
    const server: Server = createServer({ pauseOnConnect: true });
    let emulator: number | undefined;
    let socket: Socket | undefined;
    const strangers = new Set<number | undefined>();
    const refuse = (stranger: Socket, uid: number | undefined) => {
      stranger.resetAndDestroy();
      // A flood of them is told once.
      if (strangers.has(uid)) return;
      strangers.add(uid);
      const did = `connected to the machine's serial ${name}`;
      if (uid === undefined) report(`somebody ${did} and left`);
      else report(`a process of user ${uid} that is not the emulator ${did}: it was refused`);
    };
    const connected = new Promise<Socket>((taken) => {
      server.on('connection', (comer) => {
        // A reset when the emulator is killed is an end like any other.
        comer.on('error', () => comer.destroy());
        if (kind === 'tcp') {
          const { localPort: port = 0, remotePort: peerPort = 0 } = comer;
          const peer = peerSocket({ port, peerPort });
          const own = emulator === undefined || socket ? undefined : socketsOf(emulator);
          if (!peer || !own?.has(peer.inode)) return refuse(comer, peer?.uid);
        }
        socket = comer;
        server.close();
        taken(comer);
      });
    });
    const close = () => {
      if (server.listening) server.close();
      socket?.destroy();
    };
    server.once('error', reject);
    const ready = () => {
      const address = server.address();
      const port = typeof address === 'object' && address ? address.port : 0;
      const expect = (pid: number) => {
        emulator = pid;
      };
      resolve({ port, connected, expect, close });
    };
    if (kind === 'tcp') server.listen(0, '127.0.0.1', ready);
    else {
      // The path of a socket has at most 107 bytes, and the folder's may be longer.
      const folder = openSync(dir, constants.O_RDONLY | constants.O_DIRECTORY);
      server.once('close', () => closeSync(folder));
      server.listen(`/proc/self/fd/${folder}/${name}`, ready);
    }
  });
}
