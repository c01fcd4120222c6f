/** Who stands at the other end of a TCP connection over the loopback, by what the kernel tells of its sockets. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** A connection's two ports on 127.0.0.1. */
export interface Connection {
  /** The port that was connected to. */
  port: number;
  /** The port that the other end has. */
  peerPort: number;
}

/** The other end's socket. */
export interface PeerSocket {
  inode: string;
  /** The user whose process made it. */
  uid: number;
}

/**
 * The socket at the other end; undefined if it is closed already.
 *
 * Source: Documentation/networking/proc_net_tcp.rst.
 */
export function peerSocket({ port, peerPort }: Connection): PeerSocket | undefined {
  const ends = `${endpoint(peerPort)} ${endpoint(port)} `;
  for (const line of readFileSync('/proc/self/net/tcp', 'ascii').split('\n')) {
    const at = line.indexOf(ends);
    if (at < 0) continue;
    // State, queues, timer, retransmits, then these.
    const [, , , , uid, , inode] = line.slice(at + ends.length).split(/\s+/);
    // A connection that its process has closed belongs to none.
    if (uid !== undefined && inode !== undefined && inode !== '0') return { inode, uid: Number(uid) };
  }
  return undefined;
}

/** As the kernel writes 127.0.0.1 and a port, on a machine that has the lowest byte first. */
function endpoint(port: number): string {
  return `0100007F:${port.toString(16).toUpperCase().padStart(4, '0')}`;
}

/** The inodes of the sockets that a process and those that it started have open. */
export function socketsOf(pid: number): Set<string> {
  const inodes = new Set<string>();
  for (const process of family(pid)) {
    for (const fd of list(`/proc/${process}/fd`)) {
      try {
        const inode = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${process}/fd/${fd}`))?.[1];
        if (inode !== undefined) inodes.add(inode);
      } catch {
        // It was closed meanwhile.
      }
    }
  }
  return inodes;
}

/** An emulator may be a script that starts the real one. */
function family(pid: number): number[] {
  const children = list(`/proc/${pid}/task`).flatMap((task) => {
    try {
      return readFileSync(`/proc/${pid}/task/${task}/children`, 'ascii').split(' ').filter(Boolean).map(Number);
    } catch {
      return [];
    }
  });
  return [pid, ...children.flatMap(family)];
}

function list(dir: string): string[] {
  try {
    return readdirSync(dir);
  } catch {
    return [];
  }
}
