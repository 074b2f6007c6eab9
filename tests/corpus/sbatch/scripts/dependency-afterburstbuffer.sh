#!/bin/bash
#SBATCH -d afterburstbuffer:1
srun ./program
