import { checkDescriptor, type Descriptor, descriptorBytes } from '../../shared/descriptor.ts';
import { failure } from '../../shared/failure.ts';
import { fileSource } from './file.ts';
import { parseToml } from './toml.ts';

/** True when `path` is named as a descriptor is. */
export function isDescriptorName(path: string): boolean {
  return /\.bri$/i.test(path);
}

/** Reads the descriptor at `path`. Rejects with IMAGE_NOT_FOUND, IMAGE_UNREADABLE or DESCRIPTOR_INVALID. */
export async function loadDescriptor(path: string): Promise<Descriptor> {
  const source = await fileSource(path);
  try {
    // A head holds more than a descriptor may have.
    return parseDescriptor(await source.head(), path);
  } finally {
    await source.close();
  }
}

/** The descriptor in `bytes`, the content of `file`. Throws DESCRIPTOR_INVALID. */
export function parseDescriptor(bytes: Uint8Array, file: string): Descriptor {
  const invalid = (problem: string) => failure('DESCRIPTOR_INVALID', { file, problem });
  if (bytes.length > descriptorBytes) throw invalid(`it is larger than ${descriptorBytes} bytes`);
  const parsed = parseToml(bytes);
  if (parsed.kind === 'invalid') throw invalid(parsed.problem);
  const checked = checkDescriptor(parsed.value);
  if (checked.kind === 'invalid') throw invalid(checked.problem);
  return checked.value;
}
