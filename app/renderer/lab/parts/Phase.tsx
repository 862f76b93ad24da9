import type { TFunction } from 'i18next';
import { useTranslation } from 'react-i18next';
import type { Phase as Name } from '../../../../shared/machine/life.ts';

const tones: Readonly<Record<Name, string>> = {
  discovered: 'idle',
  assigned: 'idle',
  armed: 'armed',
  booting: 'work',
  preparing: 'work',
  writing: 'work',
  verifying: 'verify',
  rebooting: 'work',
  deployed: 'good',
  interactive: 'work',
  inspecting: 'work',
  failed: 'bad',
  stopped: 'bad',
};

/** Where a machine is in its life, in a word and a colour. */
export function Phase({ phase }: { readonly phase: Name }) {
  const { t } = useTranslation();
  return phaseMark(phase, t);
}

/** The same, for what is drawn too often for a component of its own. */
export function phaseMark(phase: Name, t: TFunction) {
  return (
    <span className={`phase phase-${tones[phase]}`}>
      <span className="phase-dot" aria-hidden="true" />
      {t(`lab.phases.${phase}`)}
    </span>
  );
}
