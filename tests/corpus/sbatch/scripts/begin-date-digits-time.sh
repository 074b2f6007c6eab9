#!/bin/bash
#SBATCH -b 010227-10:00
srun ./program
