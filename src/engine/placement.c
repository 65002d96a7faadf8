#include "engine/placement.h"

void
placement_fill(const struct migration *m, struct placement *ret_placement)
{
    *ret_placement = (struct placement){
        .dir = m->paths.dir,
        .name = m->vm->name,
        .file_mode = m->file_mode,
        .n_disks = m->vm->n_disks,
        .made_xml = m->paths.xml,
        .final_xml = m->paths.final_xml,
    };
    for (size_t i = 0; i < m->vm->n_disks; i++)
        ret_placement->disks[i] = (struct placement_disk){
            .made = m->paths.disks[i],
            .final = m->paths.final_disks[i],
        };
}
