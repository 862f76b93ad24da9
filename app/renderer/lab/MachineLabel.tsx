import { useTranslation } from 'react-i18next';
import { encode } from 'uqr';
import type { Machine } from '../../../shared/contract/machine.ts';
import { labelAddress } from '../../../shared/lab/label.ts';
import { Button } from '../parts/Button.tsx';
import { Sheet } from '../parts/Sheet.tsx';
import { useAnswer } from './answer.ts';
import { ask } from './api.ts';
import { PrintIcon } from './icons.tsx';

interface Props {
  readonly machine: Machine;
  readonly onClose: () => void;
}

/** A label to stick onto the machine: its MAC, and a code that opens its page. Only the label is printed. */
export function MachineLabel({ machine, onClose }: Props) {
  const { t } = useTranslation();
  const { mac, hostname, smbios_serial } = machine;
  const { value: states } = useAnswer('dhcp', () => ask('GET /dhcp'), ['notice']);
  const served = (states ?? []).filter(({ mode }) => mode !== 'off').flatMap(({ addresses }) => addresses);
  // Without an address that a phone could open, the code still says which machine it is.
  const code = labelAddress(mac, location.href, served) ?? mac;
  return (
    <Sheet
      title={t('lab.machine.label')}
      onClose={onClose}
      actions={
        <>
          <Button onPress={onClose}>{t('common.close')}</Button>
          <Button look="primary" icon={<PrintIcon size={16} />} onPress={() => window.print()}>
            {t('lab.machine.label')}
          </Button>
        </>
      }
    >
      <div className="label">
        <Code text={code} label={code} />
        <div className="label-words">
          <p className="label-mac">{mac}</p>
          {hostname === null ? null : <p className="label-name">{hostname}</p>}
          {smbios_serial === null ? null : <p>{smbios_serial}</p>}
          <p className="label-from">{t('lab.machine.labelHint')}</p>
        </div>
      </div>
    </Sheet>
  );
}

/** `text` as a QR code, drawn by the browser: sharp at any size. */
function Code({ text, label }: { readonly text: string; readonly label: string }) {
  const { data, size } = encode(text, { border: 2, ecc: 'M' });
  const path = data.flatMap((row, y) => row.map((dark, x) => (dark ? `M${x} ${y}h1v1h-1z` : ''))).join('');
  return (
    <svg className="label-code" viewBox={`0 0 ${size} ${size}`} role="img" aria-label={label}>
      <rect width={size} height={size} fill="#fff" />
      <path d={path} fill="#000" shapeRendering="crispEdges" />
    </svg>
  );
}
