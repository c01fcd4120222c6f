// The reference of what programs import, as typedoc reads it from the built declarations, and what it lacks.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Application, LogLevel, ReflectionKind } from 'typedoc';

/** Reads the entries of package.json's `exports`. */
export async function readReference(root) {
  const { exports, version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const entryPoints = Object.values(exports).flatMap((entry) => (entry.import ? [join(root, entry.import.types)] : []));
  const app = await Application.bootstrap({
    name: `kvm-dsm ${version}`,
    entryPoints,
    tsconfig: join(root, 'tools/reference/tsconfig.json'),
    readme: 'none',
    disableSources: true,
    excludePrivate: true,
    excludeProtected: true,
    excludeInternal: true,
    excludeExternals: true,
    // gapsOf finds more of what matters, and leaves out what does not.
    validation: { notExported: false, invalidLink: true, notDocumented: false },
    logLevel: LogLevel.Warn,
  });
  const project = await app.convert();
  if (project === undefined) throw new Error('typedoc could not read the declarations: npm run build:lib');
  // As they are imported: `faces/kvm` is where the declarations of `kvm-dsm/kvm` lie.
  for (const entry of project.children ?? [])
    entry.name = entry.name.replace(/^index$/, 'kvm-dsm').replace(/^faces\//, 'kvm-dsm/');
  return { app, project };
}

/** What needs a docstring of its own. */
const kinds =
  ReflectionKind.Class |
  ReflectionKind.Interface |
  ReflectionKind.TypeAlias |
  ReflectionKind.Function |
  ReflectionKind.Variable |
  ReflectionKind.Property |
  ReflectionKind.Accessor |
  ReflectionKind.Method;

/**
 * What lacks its text, and each type that is referred to and cannot be imported: one line each, sorted.
 *
 * Members of a table that has a text, such as the numbers of `capabilities`, are called what the kernel calls them: the table's text says whose
 * names they are. What comes from JavaScript's own classes has its text there.
 */
export function gapsOf(project) {
  const gaps = new Set();
  for (const reflection of project.getReflectionsByKind(kinds)) {
    if (reflection.inheritedFrom || isOfTable(reflection) || hasText(reflection)) continue;
    gaps.add(`${nameOf(reflection)} has no text`);
  }
  for (const { type, from } of referred(project)) gaps.add(`${type} of ${from} is not exported`);
  return [...gaps].sort();
}

const nameOf = (reflection) => reflection.getFullName().replace(/\.__type/g, '');

function hasText(reflection) {
  const places = [reflection, ...(reflection.signatures ?? []), reflection.getSignature, reflection.setSignature];
  if (places.some((place) => place?.hasComment())) return true;
  // A function's type may be a declaration of its own.
  const { type } = reflection;
  return (
    type?.type === 'reflection' && type.declaration.signatures?.some((signature) => signature.hasComment()) === true
  );
}

/** A member of a table that has a text, or of an object that a function with a text takes or returns. */
function isOfTable(reflection) {
  for (let at = reflection.parent; at !== undefined; at = at.parent) {
    if (at.kindOf(ReflectionKind.Variable | ReflectionKind.SomeSignature)) return at.hasComment();
    if (!at.kindOf(ReflectionKind.TypeLiteral | ReflectionKind.Property | ReflectionKind.Parameter)) return false;
  }
  return false;
}

/** Each reference of a type to a declaration of the package that is not in the reference. */
function* referred(project) {
  for (const reflection of project.getReflectionsByKind(ReflectionKind.All)) {
    for (const key of ['type', 'default']) {
      const seen = new Set();
      const queue = [reflection[key]];
      for (const type of queue) {
        if (type === null || typeof type !== 'object' || seen.has(type)) continue;
        seen.add(type);
        if (type.type === 'reference' && type.reflection === undefined && !type.isIntentionallyBroken() && isOwn(type))
          yield { type: type.name, from: nameOf(reflection) };
        if (Array.isArray(type)) queue.push(...type);
        else if (!(type instanceof Object && 'kindOf' in type))
          for (const [name, value] of Object.entries(type)) if (name !== 'declaration') queue.push(value);
      }
    }
  }
}

function isOwn(type) {
  const symbol = type.symbolId;
  // Other packages have a folder dist as well.
  if (symbol === undefined || symbol.packageName !== 'kvm-dsm' || type.refersToTypeParameter) return false;
  return /^dist\//.test(symbol.packagePath ?? '');
}
