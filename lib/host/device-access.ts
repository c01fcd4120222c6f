/** Who may open a device, and why this process may not. */
import { type Stats, statSync } from 'node:fs';
import { inContainer } from './container.ts';
import { readText } from './read-text.ts';

/** Who a process is to the kernel. */
export interface ProcessUser {
  uid: number;
  /** The group it runs as, and the further ones. */
  groups: readonly number[];
}

export interface DeviceAccess {
  path: string;
  /** The permissions, 9 bits. */
  mode: number;
  uid: number;
  gid: number;
  /** The name of the device's group; `null` if it has none here. */
  group: string | null;
  user: ProcessUser;
  /** The user's name; `null` if it has none here. */
  name: string | null;
  /** /etc/group has the user in that group, whether this process is in it or not. */
  member: boolean;
  container: boolean;
}

export function thisUser(): ProcessUser {
  return {
    uid: process.geteuid?.() ?? -1,
    groups: [process.getegid?.() ?? -1, ...(process.getgroups?.() ?? [])],
  };
}

/** @param root where /dev and /etc are; `null` if the device is not there */
export function readDeviceAccess(path: string, user = thisUser(), root = ''): DeviceAccess | null {
  const stat = statOf(root + path);
  if (!stat) return null;
  const { uid, gid, mode } = stat;
  const name = entries(`${root}/etc/passwd`).find(([, , id]) => id === String(user.uid))?.[0] ?? null;
  const [group, , , members] = entries(`${root}/etc/group`).find(([, , id]) => id === String(gid)) ?? [];
  const member = name !== null && (members?.split(',').includes(name) ?? false);
  const container = inContainer(root);
  return { path, mode: mode & 0o777, uid, gid, group: group ?? null, user, name, member, container };
}

/** What stands in the way, in words that go on from "no permission", and what to do. */
export function whyRefused(access: DeviceAccess): { because: string; advice: string } {
  const { path, mode, gid, group, user, name, member, container } = access;
  const who = name ?? `uid ${user.uid}`;
  const whose = `${group ?? `gid ${gid}`}, mode ${mode.toString(8).padStart(4, '0')}`;
  if (mayOpen(access))
    return {
      because: `its mode allows it (group ${whose}), something else forbids it`,
      advice: container
        ? `Start the container with --device ${path}.`
        : 'A security module (SELinux, AppArmor) or the device controller of a cgroup does: its log, or the unit of the service, tells.',
    };
  if ((mode & 0o060) !== 0o060 || gid === 0)
    return {
      because: `it belongs to group ${whose}, and no group is meant to open it`,
      advice: `sudo chown root:kvm ${path} && sudo chmod 660 ${path}, with a udev rule to keep it: KERNEL=="kvm", GROUP="kvm", MODE="0660".`,
    };
  const because = `it belongs to group ${whose}, and ${who} is not in that group`;
  if (member)
    return {
      because: `${because} in this session, but will be in the next one`,
      advice: `Log in again, or: newgrp ${group}.`,
    };
  if (container || group === null)
    return { because, advice: `Start the container with --group-add ${gid}, or put the user into group ${gid}.` };
  return { because, advice: `Join it (sudo usermod -aG ${group} $USER), then log in again.` };
}

function mayOpen({ mode, uid, gid, user }: DeviceAccess): boolean {
  if (user.uid === 0) return true;
  const shift = user.uid === uid ? 6 : user.groups.includes(gid) ? 3 : 0;
  return ((mode >> shift) & 6) === 6;
}

/** A folder on the way to it may be closed. */
function statOf(path: string): Stats | null {
  try {
    return statSync(path);
  } catch {
    return null;
  }
}

function entries(path: string): string[][] {
  return (readText(path) ?? '').split('\n').map((line) => line.split(':'));
}
