import { useState } from 'react';
import { CheckboxGroup } from 'react-aria-components';
import type { BatchState } from '../../../shared/app/batch.ts';
import { Button } from '../parts/Button.tsx';
import { Sheet } from '../parts/Sheet.tsx';
import { useText } from '../parts/useText.ts';
import { addDisks, needOf, useStore } from '../store.ts';
import { DiskRow } from './DiskRow.tsx';

/** More disks for a batch that runs. System disks are not among them. */
export function AddSheet({ batch }: { readonly batch: BatchState }) {
  const { t } = useText();
  const known = useStore((state) => state.disks.disks);
  const [ids, setIds] = useState<readonly string[]>([]);
  const taken = new Set(
    batch.jobs.flatMap((job) => (job.stage === 'finished' ? [] : job.disks.map(({ path }) => path))),
  );
  const disks = known.filter((disk) => !disk.system && !taken.has(disk.path));
  const close = () => useStore.setState({ sheet: null });
  const present = ids.filter((id) => disks.some((disk) => disk.id === id));
  return (
    <Sheet
      title={t('progress.addTitle')}
      onClose={close}
      actions={
        <>
          <Button onPress={close}>{t('common.cancel')}</Button>
          <Button
            look="primary"
            isDisabled={present.length === 0}
            onPress={() => {
              close();
              void addDisks({
                disks: [...present],
                verify: batch.verify,
                allowSystem: false,
                allowCut: false,
              });
            }}
          >
            {t('progress.addDo')}
          </Button>
        </>
      }
    >
      {disks.length === 0 ? (
        <p className="quiet">{t('disks.noneHint')}</p>
      ) : (
        <CheckboxGroup className="disks" aria-label={t('disks.title')} value={[...present]} onChange={setIds}>
          {disks.map((disk) => (
            <DiskRow key={disk.id} disk={disk} need={needOf(batch.image)} />
          ))}
        </CheckboxGroup>
      )}
    </Sheet>
  );
}
