import type { MachineShown } from '../../../shared/app/appliance.ts';
import { ask } from '../client.ts';
import { Button } from '../parts/Button.tsx';
import { Sheet } from '../parts/Sheet.tsx';
import { useText } from '../parts/useText.ts';
import { attempt, useStore } from '../store.ts';

/** Machines whose disks are being written now. */
export const writingNow = (machines: readonly MachineShown[]): number =>
  machines.filter(({ phase }) => phase === 'writing' || phase === 'verifying').length;

/** Asked before an appliance is stopped while machines are written. */
export function StoppingSheet({ onClose }: { readonly onClose: () => void }) {
  const { t } = useText();
  const count = useStore((state) => writingNow(state.machines.machines));
  const stop = () => {
    onClose();
    void attempt(() => ask('appliance.stop', {}));
  };
  return (
    <Sheet
      alert
      title={t('appliance.stopping.title')}
      onClose={onClose}
      actions={
        <>
          <Button look="danger" onPress={stop}>
            {t('appliance.leaving.stop')}
          </Button>
          <Button look="primary" autoFocus onPress={onClose}>
            {t('appliance.stopping.back')}
          </Button>
        </>
      }
    >
      <p>{t('appliance.stopping.text', { count })}</p>
    </Sheet>
  );
}
