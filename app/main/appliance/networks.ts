import { interfacesIn, type NetworkInterface } from '../../../shared/desktop/interface.ts';
import { failure } from '../../../shared/failure.ts';
import { ask, type Program } from '../program.ts';

const purpose = 'list the network interfaces';
/** Milliseconds; the search for other DHCP servers takes some seconds. */
const patience = 30_000;

/**
 * Tells the network interfaces, through `bty-web`; with `search` it tells them once more when other DHCP servers were
 * looked for on those that have a link.
 */
export async function listInterfaces(
  program: Program,
  search: boolean,
  tell: (interfaces: readonly NetworkInterface[]) => void,
): Promise<void> {
  const first = await list(program, []);
  tell(first);
  const linked = first.filter(({ link, address }) => link && address !== null).map(({ name }) => name);
  if (search && linked.length > 0) tell(await list(program, linked));
}

async function list(program: Program, searched: readonly string[]): Promise<readonly NetworkInterface[]> {
  const words = [
    'desktop',
    'interfaces',
    ...(searched.length > 0 ? ['--interface', searched.join(',')] : []),
  ];
  const printed = await ask(program, words, purpose, AbortSignal.timeout(patience));
  const interfaces = interfacesIn(printed);
  if (interfaces === null)
    throw failure('PROGRAM_FAILED', { purpose, problem: 'bty-web says nothing that fits' });
  return interfaces;
}
