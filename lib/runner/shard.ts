/** A script's process as one shard of the machines that it makes: its line to the process that is joined with the others. */
import { spawnSync } from 'node:child_process';
import { closeSync, constants, openSync } from 'node:fs';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { ReadStream } from 'node:tty';
import { Shard } from '../node/shard.ts';
import { lineTransport } from '../node/transports/line.ts';
import type { ShardOptions } from './options.ts';

/** Waits for the other shards. @throws NodesMissingError */
export async function joinShard({ line, deadline, ...parts }: ShardOptions): Promise<Shard> {
  return Shard.join({ ...parts, transport: lineTransport(openLine(line)) }, deadline);
}

/** The line does not keep the script's process alive. */
function openLine(line: number | string): Duplex {
  if (typeof line === 'number') return new Socket({ fd: line, readable: true, writable: true }).unref();
  const fd = openSync(line, constants.O_RDWR | constants.O_NOCTTY | constants.O_NONBLOCK);
  // The line of a lab machine: as it begins it would change bytes.
  const { status } = spawnSync('/bin/busybox', ['stty', '-F', line, 'raw', '-echo', '115200']);
  if (status !== 0) {
    closeSync(fd);
    throw new Error(`stty ${line}: ${status}`);
  }
  const stream = new ReadStream(fd) as ReadStream & { unref(): void };
  stream.unref();
  return stream;
}
